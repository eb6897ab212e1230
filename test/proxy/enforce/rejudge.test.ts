/** What was allowed ends when it would not be allowed any more: exchanges don't outlive the policy, nor the run's own list. */
import test from 'ava';
import { fileLifetime } from '../../helpers/lifetime.ts';
import { head, loopback, RawClient, startLocalOrigin, startLocalServer, startProxyWorker, type LocalOrigin, type ProxyWorker } from '../../helpers/proxy-worker.ts';
import type { FakeRun } from '../../helpers/fake-control-plane.ts';
import { runPolicySchema } from '../../../contracts/run-policy.ts';

const lifetime = fileLifetime();
let proxy: ProxyWorker;
let echo: { readonly port: number };
let stream: LocalOrigin;

const names = { 'one.test': ['127.0.0.1'], 'two.test': ['127.0.0.1'] };

test.before(async () => {
  echo = await startLocalServer(lifetime, (socket) => { socket.on('data', (bytes) => socket.write(bytes)); });
  // Says one thing and goes on for ever.
  stream = await startLocalOrigin(lifetime, (_request, response) => { response.write('begun\n'); });
  proxy = await startProxyWorker(lifetime, { names });
});

const tunnelTo = async (run: FakeRun, host: string): Promise<RawClient> => {
  const client = new RawClient({ port: proxy.port });
  client.send(`CONNECT ${host}:${echo.port} HTTP/1.1\r\nHost: ${host}:${echo.port}\r\nProxy-Authorization: ${run.authorization}\r\n\r\n`);
  await client.until('the tunnel', (text) => text.includes('200 Connection Established'));
  client.send('ping');
  await client.until('the echo', (text) => text.endsWith('ping'));
  return client;
};

const streamFrom = async (run: FakeRun, host: string): Promise<RawClient> => {
  const client = new RawClient({ port: proxy.port });
  client.send(head(`http://${host}:${stream.port}/`, { authorization: run.authorization }));
  await client.until('the first piece', (text) => text.includes('begun'));
  return client;
};

const stillEchoes = async (client: RawClient): Promise<void> => {
  client.send('again');
  await client.until('another echo', (text) => text.endsWith('again'));
};

const codes = (run: FakeRun): readonly unknown[] => proxy.control.of(run, 'egress.cut').map(({ facts }) => (facts as { code?: unknown }).code);

const allowing = (...hosts: readonly string[]): object => ({
  allow: hosts.flatMap((host, index) => [
    { id: `t${index}`, host, ports: [echo.port], methods: ['TUNNEL'], path_prefix: null },
    { id: `h${index}`, host, ports: [stream.port], methods: ['GET'], path_prefix: null },
  ]), ...loopback,
});

test('a run whose list becomes shorter loses what only the longer one allowed, and keeps the rest', async (t) => {
  const run = proxy.control.createRun({ policy: allowing('one.test', 'two.test') });
  await proxy.control.acknowledgedAll();
  const gone = [await tunnelTo(run, 'one.test'), await streamFrom(run, 'one.test')];
  const kept = await tunnelTo(run, 'two.test');
  const began = performance.now();
  proxy.control.update(run, { policy: runPolicySchema.parse(allowing('two.test')) });
  for (const client of gone) await client.ended();
  t.log(`closed after ${Math.round(performance.now() - began)} ms`);
  await stillEchoes(kept);
  await proxy.control.ingested('both ends', () => codes(run).length === 2);
  t.deepEqual(codes(run), ['policy_denied', 'policy_denied']);
});

test('a range that is taken back ends what was dialled in it', async (t) => {
  const run = proxy.control.createRun({ policy: allowing('one.test') });
  await proxy.control.acknowledgedAll();
  const client = await tunnelTo(run, 'one.test');
  proxy.control.update(run, { policy: runPolicySchema.parse({ ...allowing('one.test'), allow_addresses: [] }) });
  await client.ended();
  await proxy.control.ingested('the end', () => codes(run).length === 1);
  t.deepEqual(codes(run), ['core.non_public_address']);
});

test('a policy that no longer names a host closes the tunnels to it before it is acknowledged', async (t) => {
  const profiles = (hosts: readonly string[]) => (packs: Record<string, Record<string, unknown>>): void => {
    const { profiles: known } = packs['default'] as { profiles: Record<string, object> };
    packs['default'] = { hosts: Object.fromEntries(hosts.map((host) => [host, 'mine'])), profiles: { ...known, mine: { ...known['tunnel'], ports: [echo.port], raw: true } } };
  };
  await proxy.control.publish(profiles(['one.test', 'two.test']));
  const run = proxy.control.createRun({ policy: loopback });
  await proxy.control.acknowledgedAll();
  const gone = await tunnelTo(run, 'one.test');
  const kept = await tunnelTo(run, 'two.test');
  await proxy.control.publish(profiles(['two.test']));
  const began = performance.now();
  await gone.ended();
  t.log(`closed after ${Math.round(performance.now() - began)} ms`);
  await proxy.control.acknowledgedAll();
  await stillEchoes(kept);
  await proxy.control.ingested('the end', () => codes(run).length === 1);
  t.deepEqual(codes(run), ['policy_denied']);
});

// Serial, since another one publishes policies as well.
test.serial('a tunnel in which any bytes passed is closed when only TLS may pass from now on', async (t) => {
  const profile = (raw: boolean) => (packs: Record<string, Record<string, unknown>>): void => {
    const { profiles: known } = packs['default'] as { profiles: Record<string, object> };
    packs['default'] = { hosts: { 'one.test': 'mine' }, profiles: { ...known, mine: { ...known['tunnel'], ports: [echo.port], raw } } };
  };
  await proxy.control.publish(profile(true));
  const run = proxy.control.createRun({ policy: loopback });
  await proxy.control.acknowledgedAll();
  const gone = await tunnelTo(run, 'one.test');
  await proxy.control.publish(profile(false));
  await gone.ended();
  await proxy.control.ingested('the end', () => codes(run).length === 1);
  t.deepEqual(codes(run), ['not_supported']);
  await proxy.control.publish((packs) => { packs['default'] = { ...packs['default'], hosts: {} }; });
});
