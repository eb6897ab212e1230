import test from 'ava';
import { testClock } from '../helpers/clock.ts';
import { head, loopback, RawClient, startLocalOrigin, startProxyWorker } from '../helpers/proxy-worker.ts';
import { until } from '../helpers/wait.ts';

for (const method of ['HEAD', 'GET']) {
  test(`a ${method} whose head waits for bytes_out in vain is refused for the control plane that is away, not for a budget that is used up`, async (t) => {
    const clock = testClock(Date.now());
    const proxy = await startProxyWorker(t, { clock, names: { 'site.test': ['127.0.0.1'] } });
    const origin = await startLocalOrigin(t);
    // A quarter of it is drawn at first, which is too little for a head.
    const run = proxy.control.createRun({ policy: loopback, allow: [{ host: 'site.test', ports: [origin.port], methods: ['GET', 'HEAD'] }], limits: { bytes_out: 80 } });
    await proxy.control.acknowledgedAll();
    let failed = 0;
    proxy.control.fail = (path) => {
      if (path !== '/data-plane/allowances' || proxy.control.draws.length === 0) return;
      failed++;
      throw new Error('away');
    };
    const client = new RawClient(proxy);
    t.teardown(() => client.socket.destroy());
    client.send(head(`http://site.test:${origin.port}/`, { method, authorization: run.authorization }));
    await until('the draw that fails', () => failed > 0);
    await until('the refusal', () => {
      clock.advance(500);
      return method === 'HEAD' ? client.text.includes('\r\n\r\n') : client.text.endsWith('}\n');
    });
    t.regex(client.text, /^HTTP\/1\.1 503 /);
    if (method === 'GET') t.regex(client.text, /"code": "control_plane_unreachable"/);
    t.is(origin.requests.length, 0);
    proxy.control.fail = undefined;
    await proxy.control.ingested('the end of the exchange', () => {
      clock.advance(500);
      return proxy.control.of(run, 'egress.cut').length === 1;
    });
    t.like(proxy.control.of(run, 'egress.cut')[0]?.facts, { code: 'control_plane_unreachable', spent: { bytes_out: 0 } });
  });
}
