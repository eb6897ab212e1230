/**
 * A refused CONNECT that is accepted all the same, so that the client sees inside TLS why: what opened the tunnel could become what leads
 * through it. A second request, another host, a switch to a web socket, a CONNECT inside: whatever a client asks there has to end there.
 *
 * Here a tunnel that is opened to say no leads nowhere. It has no origin, looks up no name, makes one record, says the same to all that is asked
 * and closes. Where nobody looks into the run's TLS the CONNECT itself is answered.
 */
import test, { type ExecutionContext } from 'ava';
import { connect as connectHttp2 } from 'node:http2';
import type { FakeRun } from '../helpers/fake-control-plane.ts';
import { handshakeFields } from '../helpers/web-socket.ts';
import { flags, frame, headers, preface, rawClient, settings, types, type RawClient as RawHttp2 } from '../helpers/http2-frames.ts';
import { head, loopback, RawClient, startProxyWorker } from '../helpers/proxy-worker.ts';
import { askHttp2, connectTo, fileTlsScene, insideHttp1, insideHttp2, lookedInto, openTunnel, recordedRefusals, secureTunnel, tryTls, type TlsScene } from '../helpers/tls-scene.ts';
import { until, within } from '../helpers/wait.ts';

const scene = fileTlsScene({ upgrade: (_request, socket) => { socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'); } });
const forbidden = (): string => `other.test:${scene().site.port}`;
const allowed = (): string => `site.test:${scene().site.port}`;

/** After all that was asked: nothing was opened, no name was looked up, and one record tells of it. */
async function nothingLeft(t: ExecutionContext, { proxy, site }: TlsScene, run: FakeRun, code: string): Promise<void> {
  t.deepEqual(await recordedRefusals(scene(), run, 1), [code]);
  t.is(proxy.control.of(run, 'egress.denied')[0]?.payload['act'], 'connect');
  t.deepEqual(proxy.control.of(run).map(({ type }) => type), ['egress.denied']);
  t.is(site.handshakes.some(({ servername }) => servername === 'other.test'), false);
  t.is(proxy.asked.includes('other.test'), false);
}

const asked: readonly (readonly [title: string, request: () => string])[] = [
  ['a path', () => head('/', { host: forbidden() })],
  ['a path of an allowed host', () => head('/', { host: allowed() })],
  ['a POST with a body', () => head('/', { host: forbidden(), method: 'POST', body: 'secret' })],
  ['the control plane', () => head('/chat/why?url=http://other.test/', { host: 'sallyport.internal' })],
  ['a switch to a web socket', () => head('/', { host: forbidden(), fields: handshakeFields })],
  ['a switch to a web socket of an allowed host', () => head('/', { host: allowed(), fields: handshakeFields })],
];
for (const [title, request] of asked) {
  test(`${title} inside a tunnel that is refused is answered with its refusal and nothing else, in TLS and without`, async (t) => {
    for (const secure of [true, false]) {
      const run = await lookedInto(scene());
      const client = secure ? await insideHttp1(t, scene(), run, { to: forbidden(), servername: 'other.test' }) : new RawClient(await openTunnel(scene(), run, forbidden()));
      client.socket.resume();
      // Another one right behind it, for the allowed host.
      client.send(request() + head('/behind', { host: allowed() }));
      const text = await within('the end', client.ended());
      t.regex(text, /^HTTP\/1\.1 403 [^]*"code": "policy_denied"/);
      t.is(text.match(/^HTTP\/1\.1 \d/gm)?.length, 1, 'one answer');
      t.regex(text, /"egress_id": "egr_/);
      await nothingLeft(t, scene(), run, 'policy_denied');
    }
  });
}

test('what can\'t be read in a tunnel that is refused ends it without another record', async (t) => {
  const { port } = scene().site;
  const runs: FakeRun[] = [];
  for (const bytes of [
    `CONNECT site.test:${port} HTTP/1.1\r\nHost: site.test:${port}\r\n\r\n`, `GET https://site.test:${port}/ HTTP/1.1\r\nHost: site.test:${port}\r\n\r\n`,
    'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', '\0\0\0\0\r\n\r\n', 'SSH-2.0-OpenSSH_9.6\r\n\r\n', 'no HTTP at all\r\n\r\n',
  ]) {
    for (const secure of [true, false]) {
      const run = await lookedInto(scene());
      const client = secure ? await insideHttp1(t, scene(), run, { to: forbidden(), servername: 'other.test' }) : new RawClient(await openTunnel(scene(), run, forbidden()));
      client.socket.resume();
      client.send(bytes);
      t.false((await within(`the end after ${JSON.stringify(bytes)}`, client.ended())).includes('HTTP/1.1 200'));
      runs.push(run);
    }
  }
  for (const run of runs) await nothingLeft(t, scene(), run, 'policy_denied');
});

test('TLS for another host in a tunnel that is refused comes to nothing, and makes no other record', async (t) => {
  const run = await lookedInto(scene());
  const { problem } = await tryTls(scene(), await openTunnel(scene(), run, forbidden()), { servername: 'site.test' });
  t.truthy(problem);
  await nothingLeft(t, scene(), run, 'policy_denied');
});

for (const secure of [true, false]) {
  test(`each stream of HTTP/2 in a tunnel that is refused gets the refusal, ${secure ? 'in TLS' : 'in clear text'}, and then the connection ends`, async (t) => {
    const run = await lookedInto(scene());
    const session = secure
      ? await insideHttp2(t, scene(), run, { to: forbidden(), servername: 'other.test' })
      : connectHttp2(`http://${forbidden()}`, { createConnection: ((socket) => () => { socket.resume(); return socket; })(await openTunnel(scene(), run, forbidden())) });
    t.teardown(() => { session.destroy(); });
    session.on('error', () => { /* Its end. */ });
    const closed = within('the end of the session', new Promise<void>((resolve) => { session.once('close', resolve); }));
    const answers = await Promise.all([
      askHttp2(session), askHttp2(session, { ':authority': allowed() }), askHttp2(session, { ':method': 'POST', ':path': '/x' }, 'secret'),
    ]);
    for (const { status, code } of answers) t.deepEqual([status, code], [403, 'policy_denied']);
    await closed;
    await nothingLeft(t, scene(), run, 'policy_denied');
  });
}

test('a CONNECT on a stream of HTTP/2 in a tunnel that is refused leads nowhere', async (t) => {
  const run = await lookedInto(scene());
  const client: RawHttp2 = rawClient(await secureTunnel(scene(), run, { to: forbidden(), servername: 'other.test', ALPNProtocols: ['h2'] }));
  t.teardown(() => client.socket.destroy());
  client.send(preface, settings(), headers(1, [[':method', 'CONNECT'], [':authority', allowed()]], false), frame(types.data, flags.end_stream, 1, Buffer.from(head('/through', { host: allowed() }))));
  const answer = await client.next('an answer', ({ stream, type }) => stream === 1 && (type === types.data || type === types.rst_stream));
  if (answer.type === types.data) t.regex(answer.payload.toString(), /"code": "(?:not_supported|policy_denied)"/);
  client.socket.destroy();
  await nothingLeft(t, scene(), run, 'policy_denied');
});

test('a tunnel to our own names and addresses is no way in, whatever the run may reach', async (t) => {
  const { proxy } = scene();
  for (const [to, codes] of [[`sallyport.internal:443`, ['core.self_address']], [`127.0.0.1:${proxy.port}`, ['core.self_address']]] as const) {
    const [name = '', port = ''] = to.split(':');
    const run = await lookedInto(scene(), { hosts: [name], port: Number(port) });
    const { secure, problem } = await tryTls(scene(), await openTunnel(scene(), run, to), { servername: name === '127.0.0.1' ? '' : name, checkServerIdentity: () => undefined, ALPNProtocols: ['http/1.1'] });
    t.teardown(() => secure.destroy());
    t.is(problem, undefined);
    const client = new RawClient(secure);
    t.is((await client.send(head('/chat/why?url=http://other.test/', { host: to })).answer()).code, codes[0]);
    t.deepEqual(await recordedRefusals(scene(), run, 1), codes);
  }
});

test('a run whose TLS is not looked into is answered on the CONNECT', async (t) => {
  const run = scene().proxy.control.createRun({ policy: loopback });
  await scene().proxy.control.acknowledgedAll();
  const { status, text, socket } = await connectTo(scene(), run, forbidden());
  t.is(status, 403);
  t.regex(text, /policy_denied/);
  t.teardown(() => socket.destroy());
  await nothingLeft(t, scene(), run, 'policy_denied');
});

test('credentials that are wrong are told on the CONNECT, and nobody is let inside to hear it', async (t) => {
  const run = await lookedInto(scene());
  const { status, socket } = await connectTo(scene(), { ...run, authorization: `Basic ${Buffer.from(`${run.snapshot.run_id}:sp_ag_1_wrong`).toString('base64')}` }, allowed());
  t.teardown(() => socket.destroy());
  t.is(status, 407);
});

interface Standing {
  readonly title: string;
  readonly change: object;
  readonly code: string;
  /** Whether a CONNECT that comes afterwards is answered inside: only where it is proven whose it is, and he is still there. */
  readonly inside: boolean;
}
const standings: readonly Standing[] = [
  { title: 'is paused', change: { state: 'PausedApproval' }, code: 'run_paused', inside: true },
  { title: 'is out of time', change: { deadline_at: 1 }, code: 'budget_exhausted', inside: true },
  { title: 'has ended', change: { state: 'Cancelled' }, code: 'run_ended', inside: false },
  { title: 'has started anew', change: { epoch: 2, token_sha256: 'b'.repeat(64) }, code: 'stale_epoch', inside: false },
];
for (const { title, change, code, inside } of standings) {
  test(`a run that ${title} hears so inside the tunnels that it has, and by those that it asks for`, async (t) => {
    const { proxy, site } = scene();
    const run = await lookedInto(scene());
    const open = await insideHttp1(t, scene(), run);
    t.is((await open.send(head('/before', { host: allowed() })).answer()).status, 200);
    const requests = site.requests.length;
    const session = await insideHttp2(t, scene(), run);
    t.is((await askHttp2(session, { ':path': '/before' })).status, 200);
    proxy.control.update(run, change);
    await proxy.control.acknowledgedAll();
    t.is((await open.send(head(`/after-${code}`, { host: allowed() })).answer()).code, code);
    t.is((await askHttp2(session, { ':path': `/after-${code}` })).code, code);

    const { status, text, socket } = await connectTo(scene(), run, allowed());
    t.teardown(() => socket.destroy());
    t.is(status, inside ? 200 : 403);
    if (inside) {
      const { secure, problem } = await tryTls(scene(), socket, { ALPNProtocols: ['http/1.1'] });
      t.is(problem, undefined);
      t.is((await new RawClient(secure).send(head(`/after-${code}`, { host: allowed() })).answer()).code, code);
    } else {
      t.regex(text, new RegExp(`"code": "${code}"`));
    }
    t.false(site.requests.some(({ target }) => target === `/after-${code}`));
    t.true(site.requests.length >= requests);
  });
}

test('a budget that is used up is told inside', async (t) => {
  const run = await lookedInto(scene(), { limits: { requests: 1 } });
  const client = await insideHttp1(t, scene(), run);
  const session = await insideHttp2(t, scene(), run);
  t.is((await client.send(head('/last', { host: allowed() })).answer()).status, 200);
  t.is((await client.send(head('/over', { host: allowed() })).answer()).code, 'budget_exhausted');
  t.is((await askHttp2(session, { ':path': '/over' })).code, 'budget_exhausted');
  t.false(scene().site.requests.some(({ target }) => target === '/over'));
});


test('when nothing can be decided any more that is told inside, in the tunnels that are open and in those that are asked for', async (t) => {
  const proxy = await startProxyWorker(t, { names: { 'site.test': ['127.0.0.1'] }, configuration: { upstream_ca: scene().authority.cert } });
  const own = { ...scene(), proxy };
  const run = await lookedInto(own);
  const open = await insideHttp1(t, own, run);
  const ask = async (client: RawClient): Promise<string | undefined> => (await client.send(head('/undecided', { host: allowed() })).answer()).code;
  t.is(await ask(open), undefined);
  proxy.control.snapshotMaxAgeMs = 300;
  proxy.control.hangUp();
  await until('the snapshot to be too old', async () => await ask(open) === 'snapshot_expired');
  const before = scene().site.requests.filter(({ target }) => target === '/undecided').length;
  t.is(await ask(await insideHttp1(t, own, run)), 'snapshot_expired');
  t.is(scene().site.requests.filter(({ target }) => target === '/undecided').length, before);
});
