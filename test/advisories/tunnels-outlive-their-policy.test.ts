/**
 * Proxies that asked their policy when a tunnel was opened and never again: what had been let through once, a web socket or a tunnel
 * kept open by a heartbeat, stayed open for days after the host had been taken off the list, or the run had ended.
 *
 * Here a change of run or policy judges what is open again: what would no longer be allowed is closed, at once, and recorded as cut
 * with the reason; what still is goes on undisturbed.
 */
import test, { type ExecutionContext } from 'ava';
import { runPolicySchema } from '../../contracts/run-policy.ts';
import type { FakeRun } from '../helpers/fake-control-plane.ts';
import { head, RawClient, startLocalServer } from '../helpers/proxy-worker.ts';
import { allowedRun, fileScene } from '../helpers/scene.ts';

const scene = fileScene();

const entry = (id: string, host: string, port: number, method: string) => ({ id, host, ports: [port], methods: [method] });
const policy = (...allow: readonly ReturnType<typeof entry>[]) => runPolicySchema.parse({ allow, allow_addresses: ['127.0.0.0/8'] });

interface Open {
  readonly client: RawClient;
  readonly run: FakeRun;
  readonly port: number;
  /** Bytes both ways pass now. */
  readonly echoes: () => Promise<void>;
}

/** A tunnel, or an answer that does not end, to a server that sends back what it gets. */
async function open(t: ExecutionContext, kind: 'tunnel' | 'answer'): Promise<Open> {
  const server = await startLocalServer(t, (socket) => {
    if (kind === 'tunnel') return void socket.pipe(socket);
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 0\n\n'));
  });
  const { proxy } = scene();
  const method = kind === 'tunnel' ? 'TUNNEL' : 'GET';
  const run = await allowedRun(scene(), { allow: [{ host: 'site.test', ports: [server.port], methods: [method] }] });
  const client = new RawClient(proxy);
  t.teardown(() => client.socket.destroy());
  if (kind === 'tunnel') {
    await client.send(head(`site.test:${server.port}`, { method: 'CONNECT', authorization: run.authorization })).until('the tunnel', (text) => text.includes('\r\n\r\n'));
    client.forget();
    await client.send('GET / HTTP/1.1\r\nHost: site.test\r\n\r\n').until('an echo', (text) => text.endsWith('\r\n\r\n'));
  } else {
    await client.send(head(`http://site.test:${server.port}/`, { authorization: run.authorization })).until('the first event', (text) => text.includes('data: 0\n\n'));
  }
  let count = 0;
  const echoes = async (): Promise<void> => {
    const text = `data: ${++count}\n\n`;
    if (kind === 'tunnel') client.send(text);
    else server.sockets[0]!.write(text);
    await client.until(`echo ${count}`, (got) => got.includes(text));
  };
  return { client, run, port: server.port, echoes };
}

for (const kind of ['tunnel', 'answer'] as const) {
  const method = kind === 'tunnel' ? 'TUNNEL' : 'GET';
  const ends: readonly (readonly [string, (one: Open) => Partial<FakeRun['snapshot']>, string])[] = [
    ['its host is taken off the list', () => ({ policy: policy() }), 'policy_denied'],
    ['only another port is left', ({ port }) => ({ policy: policy(entry('a', 'site.test', port + 1, method)) }), 'policy_denied'],
    ['its address may no longer be dialled', ({ port }) => ({ policy: { ...policy(entry('a', 'site.test', port, method)), allow_addresses: [] } }), 'core.non_public_address'],
    ['the run has ended', () => ({ state: 'Cancelled' }), 'run_ended'],
    ['the run is paused', () => ({ state: 'PausedApproval' }), 'run_paused'],
    ['the run has started anew', () => ({ epoch: 2, token_sha256: 'b'.repeat(64) }), 'stale_epoch'],
  ];
  for (const [title, change, code] of ends) {
    test(`an open ${kind} is closed when ${title}`, async (t) => {
      const one = await open(t, kind);
      const { proxy } = scene();
      await one.echoes();
      proxy.control.update(one.run, change(one));
      await proxy.control.acknowledgedAll();
      const acknowledged = performance.now();
      await one.client.ended();
      const took = performance.now() - acknowledged;
      t.log(`closed ${took.toFixed(1)} ms after the change was acknowledged`);
      t.true(took < 2000, `${took} ms`);
      await proxy.control.ingested('the cut', () => proxy.control.of(one.run, 'egress.cut').length === 1);
      t.is(proxy.control.of(one.run, 'egress.cut')[0]?.facts['code'], code);
    });
  }

  test(`an open ${kind} goes on where the change leaves it allowed`, async (t) => {
    const one = await open(t, kind);
    const { proxy } = scene();
    for (const other of ['b', 'c']) {
      proxy.control.update(one.run, { policy: policy(entry(other, 'forbidden.test', 80, 'GET'), entry('a', 'site.test', one.port, method)) });
      await proxy.control.acknowledgedAll();
      await one.echoes();
    }
    // Another run's end is no business of this one.
    const neighbour = await open(t, kind);
    proxy.control.update(neighbour.run, { state: 'Cancelled' });
    await neighbour.client.ended();
    await one.echoes();
    t.false(one.client.closed);
    t.is(proxy.control.of(one.run, 'egress.cut').length, 0);
  });
}

test('requests inside a CONNECT are judged one by one, so the next one is refused', async (t) => {
  const { proxy, site } = scene();
  const run = await allowedRun(scene());
  const authority = `site.test:${site.port}`;
  const client = new RawClient(proxy);
  t.teardown(() => client.socket.destroy());
  t.is((await client.send(head(authority, { method: 'CONNECT', authorization: run.authorization })).answer()).status, 200);
  t.is((await client.send(head('/before', { host: authority })).answer()).status, 200);
  proxy.control.update(run, { policy: policy() });
  await proxy.control.acknowledgedAll();
  t.is((await client.send(head('/after', { host: authority })).answer()).code, 'policy_denied');
  t.false(site.requests.some(({ url }) => url === '/after'));
});
