/** A whole worker against a control plane that comes, goes and changes its mind. */
import test from 'ava';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunSnapshot } from '../../contracts/data-plane.ts';
import { failingDisk } from '../helpers/failing-disk.ts';
import { ask, head, loopback, RawClient, runSocket, startLocalOrigin, startLocalServer, startProxyWorker, type LocalOrigin, type ProxyWorker } from '../helpers/proxy-worker.ts';
import type { FakeRun, FakeRunOptions } from '../helpers/fake-control-plane.ts';
import { until } from '../helpers/wait.ts';

const names = { 'site.test': ['127.0.0.1'] };

async function createRun(proxy: ProxyWorker, port: number, options: FakeRunOptions = {}): Promise<FakeRun> {
  const run = proxy.control.createRun({ allow: [{ host: 'site.test', ports: [port], methods: ['GET', 'POST'] }], policy: loopback, ...options });
  await proxy.control.acknowledgedAll();
  return run;
}

const at = (origin: LocalOrigin, path: string = '/'): string => `http://site.test:${origin.port}${path}`;

test('an allowed request reaches the origin, is answered, recorded and settled; what is left of its allowance goes back', async (t) => {
  const origin = await startLocalOrigin(t);
  const proxy = await startProxyWorker(t, { names });
  const run = await createRun(proxy, origin.port, { limits: { requests: 10, bytes_out: 10_000, bytes_in: 10_000 } });
  const answer = await ask(proxy, at(origin, '/page?secret=1'), { authorization: run.authorization, fields: ['Authorization: Bearer hidden'] });
  t.is(answer.body, 'hello\n');
  t.deepEqual(origin.requests.map(({ method, url }) => [method, url]), [['GET', '/page?secret=1']]);
  proxy.control.update(run, { state: 'Done' });
  await proxy.control.ingested('what was returned', () => proxy.control.of(run, 'allowance.returned').length === 1);
  const [decided, completed] = proxy.control.of(run);
  t.deepEqual([decided?.type, completed?.type], ['egress.decided', 'egress.completed']);
  t.like(decided?.payload, { act: 'request', form: 'absolute', method: 'GET', host: 'site.test', port: origin.port, path: '/page', query_keys: ['secret'], credential: 'foreign', assurance: 'cooperative', addresses: ['127.0.0.1'] });
  t.like(completed?.payload, { status: 200, address: '127.0.0.1' });
  t.deepEqual(completed?.causes, [decided?.event_id]);
  t.false(JSON.stringify(proxy.control.of(run)).includes('hidden'));
  t.false(JSON.stringify(proxy.control.of(run)).includes(run.token));
  t.is(proxy.control.used(run, 'requests'), 1);
  t.true(proxy.control.used(run, 'bytes_out') > 50);
  for (const meter of ['requests', 'bytes_out', 'bytes_in'] as const) t.is(proxy.control.reserved(run, meter), 0);
});

test('200 parallel requests with 100 left: exactly 100 reach the origin', async (t) => {
  const origin = await startLocalOrigin(t);
  const proxy = await startProxyWorker(t, { names });
  const run = await createRun(proxy, origin.port, { limits: { requests: 100 } });
  const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => ask(proxy, at(origin, `/${index}`), { authorization: run.authorization })));
  t.is(answers.filter(({ status }) => status === 200).length, 100);
  t.is(answers.filter(({ code }) => code === 'budget_exhausted').length, 100);
  t.is(origin.requests.length, 100);
  await proxy.control.ingested('all of them', () => proxy.control.of(run).length === 300);
  t.is(proxy.control.used(run, 'requests'), 100);
  t.like(proxy.control.of(run, 'egress.denied')[0]?.payload, { meter: 'requests' });
});

test('a download is cut at the byte where its budget ends', async (t) => {
  const origin = await startLocalOrigin(t, (_request, response) => response.end(Buffer.alloc(300_000, 'x')));
  const proxy = await startProxyWorker(t, { names });
  const run = await createRun(proxy, origin.port, { limits: { bytes_in: 100_000 } });
  const client = new RawClient(proxy);
  const text = await client.send(head(at(origin), { authorization: run.authorization })).ended();
  t.true(text.length < 100_500 && text.length > 99_000, `${text.length}`);
  await proxy.control.ingested('the cut', () => proxy.control.of(run, 'egress.cut').length === 1);
  t.like(proxy.control.of(run, 'egress.cut')[0]?.facts, { code: 'budget_exhausted', meter: 'bytes_in' });
  t.is(proxy.control.used(run, 'bytes_in'), 100_000);
});

test('a cancel between the verdict and the dial wins: nothing reaches the origin', async (t) => {
  const origin = await startLocalOrigin(t);
  const gate = Promise.withResolvers<void>();
  let asked = false;
  const proxy = await startProxyWorker(t, {
    async ask(_host, family) {
      asked = true;
      await gate.promise;
      if (family === 6) throw Object.assign(new Error('none'), { code: 'ENODATA' });
      return { addresses: ['127.0.0.1'], ttlSeconds: 60 };
    },
  });
  const run = await createRun(proxy, origin.port);
  const answering = ask(proxy, at(origin), { authorization: run.authorization });
  await until('the lookup', () => asked);
  proxy.control.update(run, { state: 'Cancelled' });
  await proxy.control.acknowledgedAll();
  gate.resolve();
  t.is((await answering).code, 'run_ended');
  t.is(origin.requests.length, 0);
  await proxy.control.ingested('the refusal', () => proxy.control.of(run, 'egress.denied').length === 1);
});

test('a cancel while an answer streams closes it, and records the cut', async (t) => {
  const origin = await startLocalOrigin(t, (_request, response) => { response.write('first\n'); });
  const proxy = await startProxyWorker(t, { names });
  const run = await createRun(proxy, origin.port);
  const client = new RawClient(proxy);
  client.send(head(at(origin), { authorization: run.authorization }));
  await client.until('the first bytes', (text) => text.includes('first'));
  proxy.control.update(run, { state: 'Failed' });
  await client.ended();
  await proxy.control.ingested('the cut', () => proxy.control.of(run, 'egress.cut').length === 1);
  t.is(proxy.control.of(run, 'egress.cut')[0]?.facts['code'], 'run_ended');
});

const changes: readonly { readonly title: string; readonly change: (run: RunSnapshot) => Partial<RunSnapshot>; readonly code: string }[] = [
  { title: 'the run has ended', change: () => ({ state: 'Done' }), code: 'run_ended' },
  { title: 'the run is paused', change: () => ({ state: 'PausedApproval' }), code: 'run_paused' },
  { title: 'the run waits for its turn', change: () => ({ state: 'Queued' }), code: 'run_paused' },
  { title: 'the run has a new epoch, and so another token', change: () => ({ epoch: 2, token_sha256: 'a'.repeat(64) }), code: 'stale_epoch' },
  { title: 'the run\'s time is over', change: () => ({ deadline_at: Date.now() - 1 }), code: 'budget_exhausted' },
];

for (const { title, change, code } of changes) {
  test(`refused as ${code}, and what is open is cut: ${title}`, async (t) => {
    const echo = await startLocalServer(t, (socket) => { socket.pipe(socket); });
    const origin = await startLocalOrigin(t);
    const proxy = await startProxyWorker(t, { names });
    const run = await createRun(proxy, origin.port, {
      allow: [{ host: 'site.test', ports: [origin.port], methods: ['GET'] }, { host: 'site.test', ports: [echo.port], methods: ['TUNNEL'] }],
    });
    const tunnel = new RawClient(proxy);
    await tunnel.send(head(`site.test:${echo.port}`, { method: 'CONNECT', authorization: run.authorization })).until('the tunnel', (text) => text.includes('200'));
    t.is((await ask(proxy, at(origin), { authorization: run.authorization })).status, 200);
    proxy.control.update(run, change(run.snapshot));
    await proxy.control.acknowledgedAll();
    t.is((await ask(proxy, at(origin), { authorization: run.authorization })).code, code);
    await tunnel.ended();
    t.is(origin.requests.length, 1);
  });
}

test('a run whose end was missed is over once the control plane is heard again', async (t) => {
  const origin = await startLocalOrigin(t);
  const proxy = await startProxyWorker(t, { names });
  const run = await createRun(proxy, origin.port);
  const jailed = await createRun(proxy, origin.port, { channel: 'jail' });
  proxy.control.forget(run);
  proxy.control.forget(jailed);
  proxy.control.hangUp();
  await until('the run to be refused', async () => (await ask(proxy, at(origin), { authorization: run.authorization })).code === 'run_ended');
  const before = origin.requests.length;
  await until('the listener to be gone', async () => !(await readdir(join(proxy.folder, 's'))).includes(jailed.snapshot.short_id));
  t.is(origin.requests.length, before);
});

test('nothing is decided once the control plane has not been heard for too long, and what is open is cut', async (t) => {
  const origin = await startLocalOrigin(t, (_request, response) => { response.write('first'); });
  const proxy = await startProxyWorker(t, { names });
  const run = await createRun(proxy, origin.port);
  const open = new RawClient(proxy);
  await open.send(head(at(origin), { authorization: run.authorization })).until('the first bytes', (text) => text.includes('first'));
  proxy.control.snapshotMaxAgeMs = 300;
  proxy.control.hangUp();
  await open.ended();
  t.is((await ask(proxy, at(origin), { authorization: run.authorization })).code, 'snapshot_expired');
  await until('decisions again', async () => {
    proxy.control.push({ type: 'heartbeat', at: 0 });
    return (await ask(proxy, 'http://other.test/', { authorization: run.authorization })).code === 'policy_denied';
  });
  await proxy.control.ingested('the cut', () => proxy.control.of(run, 'egress.cut').length === 1);
  t.is(proxy.control.of(run, 'egress.cut')[0]?.facts['code'], 'snapshot_expired');
});

test('a control plane that goes away is not missed while allowances last, and then by its own code', async (t) => {
  const origin = await startLocalOrigin(t);
  const proxy = await startProxyWorker(t, { names });
  const run = await createRun(proxy, origin.port, { limits: { requests: 8 } });
  t.is((await ask(proxy, at(origin), { authorization: run.authorization })).status, 200);
  proxy.control.fail = () => { throw new Error('away'); };
  proxy.control.hangUp();
  const codes = [];
  for (let index = 0; index < 3; index++) codes.push((await ask(proxy, at(origin), { authorization: run.authorization })).code ?? 'sent');
  t.is(codes.at(-1), 'control_plane_unreachable');
  t.true(codes.includes('sent'));
  proxy.control.fail = undefined;
  await until('requests again', async () => (await ask(proxy, at(origin), { authorization: run.authorization })).status === 200);
  await proxy.control.ingested('all of them, each once', () => proxy.control.of(run, 'egress.decided').length === origin.requests.length);
});

test('a full disk: nothing is sent unrecorded, whatever was open is recorded later, and it goes on by itself', async (t) => {
  const disk = failingDisk();
  const origin = await startLocalOrigin(t, (request, response) => { if (request.url === '/slow') response.write('first'); else response.end('hello\n'); });
  const proxy = await startProxyWorker(t, { names, disk });
  const run = await createRun(proxy, origin.port);
  const open = new RawClient(proxy);
  await open.send(head(at(origin, '/slow'), { authorization: run.authorization })).until('the first bytes', (text) => text.includes('first'));
  disk.failure = 'ENOSPC';
  t.is((await ask(proxy, at(origin), { authorization: run.authorization })).code, 'journal_unavailable');
  open.socket.destroy();
  t.is((await ask(proxy, at(origin), { authorization: run.authorization })).code, 'journal_unavailable');
  t.is(origin.requests.length, 1);
  disk.failure = undefined;
  await until('requests again', async () => (await ask(proxy, at(origin), { authorization: run.authorization })).status === 200);
  await proxy.control.ingested('everything', () => proxy.control.of(run, 'egress.failed').length === 1 && proxy.control.of(run, 'egress.completed').length === 1);
  t.is(proxy.control.of(run, 'egress.decided').length, 2);
  t.is(proxy.control.used(run, 'requests'), 2, 'what was refused cost nothing');
});

test('a worker takes its predecessor\'s place: its journal is ended and shipped first, and nothing is counted twice', async (t) => {
  const origin = await startLocalOrigin(t);
  const proxy = await startProxyWorker(t, { names });
  const run = await createRun(proxy, origin.port, { limits: { requests: 10 } });
  t.is((await ask(proxy, at(origin), { authorization: run.authorization })).status, 200);
  await proxy.stop();
  const next = await startProxyWorker(t, { names }, proxy);
  t.is((await ask(next, at(origin), { authorization: run.authorization })).status, 200);
  await next.control.ingested('both', () => next.control.of(run, 'egress.completed').length === 2);
  t.is(next.control.used(run, 'requests'), 2);
  t.is(next.control.events.filter(({ type }) => type === 'journal.recovered').length, 0, 'it was ended in order');
  t.is(next.control.events.filter(({ type }) => type === 'journal.opened').length, 2);
  t.is(new Set(next.control.events.map(({ actor }) => actor.id)).size, 1, 'it is the same proxy to the control plane');
  const [, second] = (await readdir(join(proxy.folder, 'journal', '0'))).filter((name) => name.startsWith('jnl_')).sort();
  t.truthy(second);
  next.control.sealAll();
  await until('what is sealed to be deleted', async () => (await readdir(join(proxy.folder, 'journal', '0'))).filter((name) => name.startsWith('jnl_')).length === 1);
});

test('a stopping worker lets what is under way come to its end', async (t) => {
  const gate = Promise.withResolvers<void>();
  const origin = await startLocalOrigin(t, (_request, response) => { void gate.promise.then(() => response.end('late\n')); });
  const proxy = await startProxyWorker(t, { names });
  const run = await createRun(proxy, origin.port);
  const answering = ask(proxy, at(origin), { authorization: run.authorization });
  await until('the request', () => origin.requests.length === 1);
  const stopping = proxy.worker.stop(10_000);
  gate.resolve();
  t.is((await answering).body, 'late\n');
  await stopping;
  t.is(proxy.control.of(run, 'egress.completed').length, 1);
});

test('a stopping worker tells also the client that speaks HTTP inside a CONNECT', async (t) => {
  const origin = await startLocalOrigin(t);
  const proxy = await startProxyWorker(t, { names });
  const run = await createRun(proxy, origin.port);
  const client = new RawClient(proxy);
  t.is((await client.send(head(`site.test:${origin.port}`, { method: 'CONNECT', authorization: run.authorization })).answer()).status, 200);
  const get = `GET / HTTP/1.1\r\nHost: site.test:${origin.port}\r\n\r\n`;
  t.notRegex((await client.send(get).answer()).head, /Connection: close/i);
  const stopping = proxy.worker.stop(10_000);
  const last = await client.send(get).answer();
  t.is(last.status, 200);
  t.regex(last.head, /Connection: close/i);
  await client.ended();
  client.socket.destroy();
  await stopping;
});

test('the socket of a run is its owner\'s alone', async (t) => {
  const origin = await startLocalOrigin(t);
  const proxy = await startProxyWorker(t, { names });
  const run = await createRun(proxy, origin.port, { channel: 'jail' });
  const place = runSocket(proxy, run.snapshot.short_id) as { readonly path: string };
  t.is((await stat(place.path)).mode & 0o777, 0o600);
});
