/**
 * A client that does not believe in our authority shows its user an error of TLS, and nothing else: no answer can reach it. Proxies that
 * left no trace of that had people search for days for an origin that was broken.
 *
 * Here each handshake that comes to nothing leaves one record, `interception_failed`, that says why and what to do, and the origin hears nothing.
 */
import test from 'ava';
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import type { FakeRun } from '../helpers/fake-control-plane.ts';
import { startProcess } from '../helpers/process.ts';
import { captureHello } from '../helpers/tls-hello.ts';
import { TestAuthority } from '../helpers/test-authority.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { fileTlsScene, lookedInto, openTunnel, recordedRefusals, tryTls } from '../helpers/tls-scene.ts';
import { until } from '../helpers/wait.ts';

const scene = fileTlsScene();

for (const version of ['-tls1_2', '-tls1_3']) {
  test(`a client that has another authority (${version}) is recorded once for each attempt, with what to do`, async (t) => {
    const { proxy, site } = scene();
    const run = await lookedInto(scene());
    const ca = join(await temporaryFolder(t), 'ca.pem');
    await writeFile(ca, (await TestAuthority.make(t, 'Another')).cert);
    for (let attempt = 1; attempt <= 2; attempt++) {
      const client = startProcess(t, 'openssl', [
        's_client', '-proxy', `127.0.0.1:${proxy.port}`, '-proxy_user', run.snapshot.run_id, '-proxy_pass', `pass:${run.token}`,
        '-connect', `site.test:${site.port}`, '-servername', 'site.test', '-CAfile', ca, '-verify_return_error', version,
      ]);
      await client.exit();
    }
    t.deepEqual(await recordedRefusals(scene(), run, 2), ['interception_failed', 'interception_failed']);
    const [first] = proxy.control.of(run, 'egress.denied');
    t.regex(String(first?.payload['detail']), /does not trust the certificate/);
    t.regex(String(first?.payload['next_steps']), /sallyport ca export/);
    t.is(first?.payload['host'], 'site.test');
    t.deepEqual(proxy.control.of(run).map(({ type }) => type), ['egress.denied', 'egress.denied']);
    t.is(site.opened, 0);
  });
}

test('a client that leaves in the middle of a handshake, by a close or by a reset, is recorded when it leaves', async (t) => {
  const run = await lookedInto(scene());
  for (const leave of ['end', 'resetAndDestroy'] as const) {
    const tunnel = await openTunnel(scene(), run);
    let answered = false;
    tunnel.on('data', () => { answered = true; });
    tunnel.resume();
    tunnel.write(await captureHello({ servername: 'site.test' }));
    await until('a ServerHello', () => answered);
    tunnel[leave]();
  }
  t.deepEqual(await recordedRefusals(scene(), run, 2), ['interception_failed', 'interception_failed']);
  for (const { payload } of scene().proxy.control.of(run, 'egress.denied')) t.regex(String(payload['detail']), /went away during the handshake/);
  t.is(scene().site.opened, 0);
});

test('a client that looks at the certificate when TLS is agreed on, as Node does, is recorded by TLS 1.3; by 1.2 it can\'t be told from one that has nothing to ask', async (t) => {
  const { cert } = await TestAuthority.make(t, 'Another');
  const leave = async (maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<FakeRun> => {
    const run = await lookedInto(scene());
    const { problem } = await tryTls(scene(), await openTunnel(scene(), run), { ca: cert, maxVersion });
    t.regex(problem?.code ?? '', /UNABLE_TO_|SELF_SIGNED/);
    return run;
  };
  const unseen = await leave('TLSv1.2');
  const seen = await leave('TLSv1.3');
  t.deepEqual(await recordedRefusals(scene(), seen, 1), ['interception_failed']);
  t.deepEqual(scene().proxy.control.of(unseen), []);
  t.is(scene().site.opened, 0);
});
