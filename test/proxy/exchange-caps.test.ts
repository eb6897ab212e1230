import test from 'ava';
import { head, loopback, RawClient, startLocalServer, startProxyWorker } from '../helpers/proxy-worker.ts';
import { until } from '../helpers/wait.ts';

test('a run with 1,024 exchanges under way is told to wait, another run is not, and room comes back', async (t) => {
  let heard = 0;
  const origin = await startLocalServer(t, (socket) => { socket.on('data', () => { heard++; }); });
  const proxy = await startProxyWorker(t, { names: { 'site.test': ['127.0.0.1'] } });
  const allow = [{ host: 'site.test', ports: [origin.port], methods: ['GET'] }];
  const [busy, other] = [proxy.control.createRun({ allow, policy: loopback }), proxy.control.createRun({ allow, policy: loopback })];
  await proxy.control.acknowledgedAll();
  const request = ({ authorization }: typeof busy): RawClient => {
    const client = new RawClient(proxy);
    t.teardown(() => { client.socket.destroy(); });
    return client.send(head(`http://site.test:${origin.port}/`, { authorization }));
  };
  const open = Array.from({ length: 1_024 }, () => request(busy));
  await until('all of them at the origin', () => heard === 1_024);
  const over = await request(busy).answer();
  t.deepEqual([over.status, over.code], [429, 'rate_limited']);
  t.regex(over.head, /\r\nRetry-After: 1(\r\n|$)/);
  t.is(heard, 1_024);
  request(other);
  await until('the other run at the origin', () => heard === 1_025);
  open[0]!.socket.destroy();
  await until('the end of the first', () => proxy.control.of(busy, 'egress.failed').length === 1);
  request(busy);
  await until('one more of the busy run', () => heard === 1_026);
});
