/**
 * http-proxy, its successors and others pass `Proxy-Authorization` on: the origin gets the agent's credentials for the proxy. apt and
 * wget send it inside a tunnel as well.
 *
 * Here `Proxy-*` and what `Connection` nominates stay on their side, in every form; the agent's token is in no byte that an origin
 * receives, and in no record.
 */
import test from 'ava';
import { allowedRun, fileScene, forms } from '../helpers/scene.ts';
import { head, RawClient, runSocket, startLocalServer } from '../helpers/proxy-worker.ts';

const scene = fileScene();
const spelled = (authorization: string): string[] => [
  `proxy-authorization: ${authorization}`, 'Proxy-Connection: keep-alive', `PROXY-AUTHENTICATION-INFO: ${authorization}`, `X-Nominated: ${authorization}`, 'Connection: keep-alive, X-Nominated', 'Keep-Alive: timeout=5', 'TE: trailers',
];

for (const form of forms.filter((one) => one !== 'connect')) {
  for (const channel of ['credentials', 'jail'] as const) {
    test(`nothing of it reaches the origin: ${form}, ${channel}`, async (t) => {
      let received = '';
      const origin = await startLocalServer(t, (socket) => {
        socket.on('data', (bytes: Buffer) => {
          received += bytes.toString('latin1');
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        });
      });
      const { proxy } = scene();
      const run = await allowedRun(scene(), { channel, allow: [{ host: 'site.test', ports: [origin.port], methods: ['GET'] }] });
      const client = new RawClient(channel === 'jail' ? runSocket(proxy, run.snapshot.short_id) : proxy);
      const authority = `site.test:${origin.port}`;
      if (form === 'inside') t.is((await client.send(head(authority, { method: 'CONNECT', authorization: run.authorization })).answer()).status, 200);
      const target = form === 'inside' ? '/kept' : `http://${authority}/kept`;
      t.is((await client.send(head(target, { host: authority, fields: [...spelled(run.authorization), 'X-Kept: yes', 'Authorization: Bearer mine'] })).answer()).body, 'ok');
      client.socket.destroy();
      t.true(received.startsWith('GET /kept HTTP/1.1\r\n'), received);
      t.true(received.includes('X-Kept: yes') && received.includes('Authorization: Bearer mine'), 'what is the origin\'s was taken off');
      for (const secret of [run.token, run.authorization, Buffer.from(run.token).toString('base64').replace(/=+$/, '')]) t.false(received.includes(secret), received);
      t.notRegex(received, /^(?:proxy-|keep-alive|x-nominated)/im);
      await proxy.control.ingested('the end', () => proxy.control.of(run, 'egress.completed').length === 1);
      t.false(JSON.stringify(proxy.control.of(run)).includes(run.token));
      t.false(JSON.stringify(proxy.control.of(run)).includes(run.authorization.slice('Basic '.length)));
    });
  }
}

test('nor what an origin says for the proxy reaches the client', async (t) => {
  const origin = await startLocalServer(t, (socket) => {
    socket.once('data', () => socket.write('HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="phish"\r\nProxy-Authentication-Info: x\r\nX-R: y\r\nConnection: X-R\r\nContent-Length: 0\r\n\r\n'));
  });
  const { proxy } = scene();
  const run = await allowedRun(scene(), { allow: [{ host: 'site.test', ports: [origin.port], methods: ['GET'] }] });
  const client = new RawClient(proxy);
  const answer = await client.send(head(`http://site.test:${origin.port}/`, { authorization: run.authorization })).answer();
  client.socket.destroy();
  t.notRegex(answer.head, /^(?:proxy-|x-r:)/im);
});
