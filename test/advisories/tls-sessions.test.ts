/**
 * What lives on between two handshakes. A session that is resumed skips the look at the certificate, so one that crosses from run to run or
 * from host to host carries a stranger's trust along; and whoever shares a connection to an origin shares what the origin keeps with it. A
 * handshake anew on an open connection (renegotiation) mixed one side's bytes with another's (CVE-2009-3555).
 *
 * Here sessions are a run's and a host's, on both sides of the proxy; connections to origins are a run's; and nobody renegotiates.
 */
import test, { type ExecutionContext } from 'ava';
import type { TLSSocket } from 'node:tls';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { readTrusted } from '../../proxy/intercept/authority/authorities.ts';
import type { FakeRun } from '../helpers/fake-control-plane.ts';
import { startProcess } from '../helpers/process.ts';
import { head, RawClient } from '../helpers/proxy-worker.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { askHttp2, fileTlsScene, insideHttp1, insideHttp2, lookedInto, openTunnel, secureTunnel, startTlsOrigin, tryTls } from '../helpers/tls-scene.ts';
import { event } from '../helpers/wait.ts';

const scene = fileTlsScene();
const hosts = ['site.test', 'other.test'];
const at = (name: string): string => `${name}:${scene().site.port}`;

/** A session as a client holds it after one answer. */
async function sessionOf(t: ExecutionContext, run: FakeRun, version: 'TLSv1.2' | 'TLSv1.3'): Promise<Buffer> {
  const secure = await secureTunnel(scene(), run, { ALPNProtocols: ['http/1.1'], minVersion: version, maxVersion: version });
  t.teardown(() => secure.destroy());
  // A ticket comes behind the handshake by TLS 1.3, and within it before.
  const session = version === 'TLSv1.3' ? event('a session', secure, 'session') : undefined;
  const client = new RawClient(secure);
  t.is((await client.send(head('/', { host: at('site.test') })).answer()).status, 200);
  const bytes = session === undefined ? secure.getSession()! : (await session)[0] as Buffer;
  secure.destroy();
  return bytes;
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`a session of ${version} is resumed by its own run for its own host, and by nobody else`, async (t) => {
    const run = await lookedInto(scene(), { hosts });
    const stranger = await lookedInto(scene(), { hosts });
    const session = await sessionOf(t, run, version);
    const resumed = async (of: FakeRun, name: string): Promise<boolean> => {
      const { secure, problem } = await tryTls(scene(), await openTunnel(scene(), of, at(name)), { servername: name, session, ALPNProtocols: ['http/1.1'], minVersion: version, maxVersion: version });
      t.teardown(() => secure.destroy());
      t.is(problem, undefined, 'whoever is not believed gets a whole handshake');
      const client = new RawClient(secure);
      t.is((await client.send(head('/', { host: at(name) })).answer()).status, 200);
      return secure.isSessionReused();
    };
    t.true(await resumed(run, 'site.test'));
    t.false(await resumed(stranger, 'site.test'), 'another run');
    t.false(await resumed(run, 'other.test'), 'another host');
    t.false(await resumed(stranger, 'other.test'), 'both');
    t.true(await resumed(run, 'site.test'), 'still');
  });
}

test('a session of another host can\'t be offered under the name of its own', async (t) => {
  const run = await lookedInto(scene(), { hosts });
  const session = await sessionOf(t, run, 'TLSv1.3');
  const { secure, problem } = await tryTls(scene(), await openTunnel(scene(), run, at('other.test')), { servername: 'site.test', session });
  t.teardown(() => secure.destroy());
  t.truthy(problem);
});

/** One request on a connection of its own, HTTP/1.1 or HTTP/2. */
async function ask(t: ExecutionContext, run: FakeRun, to: string, path: string, http2: boolean): Promise<void> {
  if (http2) {
    const session = await insideHttp2(t, scene(), run, { to });
    t.is((await askHttp2(session, { ':path': path })).status, 200);
    session.destroy();
    return;
  }
  const client = await insideHttp1(t, scene(), run, { to });
  t.is((await client.send(head(path, { host: to })).answer()).status, 200);
  client.socket.destroy();
}

for (const http2 of [false, true]) {
  const version = http2 ? 'HTTP/2' : 'HTTP/1.1';
  test(`two runs share neither a connection nor a session with an origin, in ${version}`, async (t) => {
    const origin = await startTlsOrigin(t, { tls: scene().authority.issue({ names: ['DNS:site.test'] }) });
    const to = `site.test:${origin.port}`;
    const runs = [await lookedInto(scene(), { port: origin.port }), await lookedInto(scene(), { port: origin.port })];
    for (let round = 0; round < 3; round++) for (const [index, run] of runs.entries()) await ask(t, run, to, `/${index}`, http2);
    const from = (index: number) => new Set(origin.requests.filter(({ target }) => target === `/${index}`).map(({ handshake }) => handshake.from));
    t.is(origin.requests.length, 6);
    t.deepEqual([from(0).size, from(1).size, from(0).isDisjointFrom(from(1))], [1, 1, true]);
    t.deepEqual(origin.handshakes.map(({ resumed }) => resumed), [false, false]);
  });
}

test('a run resumes its own sessions with an origin, and another run\'s first handshake is whole', async (t) => {
  // Closes after each answer, so that each needs a connection.
  const origin = await startTlsOrigin(t, { tls: scene().authority.issue({ names: ['DNS:site.test'] }), respond: (_request, response) => { (response as ServerResponse).writeHead(200, { connection: 'close' }).end('x'); } });
  const to = `site.test:${origin.port}`;
  const [one, other] = [await lookedInto(scene(), { port: origin.port }), await lookedInto(scene(), { port: origin.port })];
  for (const run of [one, one, other, other, one]) await ask(t, run, to, '/', false);
  t.deepEqual(origin.handshakes.map(({ resumed }) => resumed), [false, true, false, true, true]);
});

test('a run that starts anew leaves no tunnel behind to whoever it was before', async (t) => {
  const origin = await startTlsOrigin(t, { tls: scene().authority.issue({ names: ['DNS:site.test'] }) });
  const to = `site.test:${origin.port}`;
  const { control } = scene().proxy;
  const run = await lookedInto(scene(), { port: origin.port });
  const client = await insideHttp1(t, scene(), run, { to });
  t.is((await client.send(head('/', { host: to })).answer()).status, 200);
  control.update(run, { epoch: 2, token_sha256: 'b'.repeat(64) });
  await control.acknowledgedAll();
  t.is((await client.send(head('/after', { host: to })).answer()).code, 'stale_epoch');
  t.is(origin.requests.length, 1);
});

test('a client that asks for another handshake gets none, and its connection no request from it', async (t) => {
  const run = await lookedInto(scene());
  const ca = join(await temporaryFolder(t), 'ca.pem');
  await writeFile(ca, readTrusted(scene().proxy.folder));
  const client = startProcess(t, 'openssl', [
    's_client', '-proxy', `127.0.0.1:${scene().proxy.port}`, '-proxy_user', run.snapshot.run_id, '-proxy_pass', `pass:${run.token}`,
    '-connect', at('site.test'), '-servername', 'site.test', '-CAfile', ca, '-verify_return_error', '-tls1_2',
  ], { input: 'R\n' });
  await client.line(/^RENEGOTIATING$/m);
  await client.line(/no renegotiation/);
  t.pass();
});

test('an origin that asks for another handshake gets none', async (t) => {
  let began = 0;
  const origin = await startTlsOrigin(t, {
    tls: { ...scene().authority.issue({ names: ['DNS:site.test'] }), maxVersion: 'TLSv1.2' },
    respond: (request) => {
      const socket = request.socket as TLSSocket;
      socket.on('error', () => { began += 100; });
      began++;
      socket.renegotiate({}, () => { began += 100; });
    },
  });
  const to = `site.test:${origin.port}`;
  const client = await insideHttp1(t, scene(), await lookedInto(scene(), { port: origin.port }), { to });
  const { status, code } = await client.send(head('/', { method: 'POST', host: to, body: 'x' })).answer();
  t.is(status, 502);
  t.regex(code ?? '', /^upstream_/);
  t.is(origin.handshakes.length, 1);
});
