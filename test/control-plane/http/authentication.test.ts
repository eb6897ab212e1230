import test from 'ava';
import { createConnection } from 'node:net';
import { call, proxyToken, startTestControlPlane } from '../harness.ts';
import { within } from '../../helpers/wait.ts';

async function startOnTcp(t: Parameters<typeof startTestControlPlane>[0]) {
  const plane = await startTestControlPlane(t, { configuration: { api_listen: { host: '127.0.0.1', port: 0 } } });
  const [, host, port] = /^(.*):([0-9]+)$/.exec(plane.controlPlane.addresses.api!)!;
  return { plane, target: { host: host!, port: Number(port) } };
}

test.serial('over TCP every request needs credentials; the first key is told once, at the first start', async (t) => {
  const { plane, target } = await startOnTcp(t);
  const [notice] = plane.controlPlane.notices;
  const key = /sp_op_\S+/.exec(notice!)![0];
  t.like(await call(target, 'GET', '/chat/run'), { status: 401, body: { code: 'unauthenticated' } });
  t.is((await call(target, 'GET', '/chat/run')).headers['www-authenticate'], 'Bearer');
  t.is((await call(target, 'GET', '/chat/run', { token: key })).status, 200);
  t.is((await call(target, 'GET', '/healthz')).status, 200);
  t.is((await call(target, 'GET', '/readyz')).status, 200);
  t.like(await call(target, 'POST', '/chat/run', { token: key, body: { goal: 'remote', channel: 'jail' } }), { status: 201 });
  await plane.stop();
  const again = await startTestControlPlane(t, { folder: plane.folder, configuration: { api_listen: { host: '127.0.0.1', port: 0 } } });
  t.deepEqual(again.controlPlane.notices, []);
});

test.serial('an operator elsewhere is not the launcher of a jailed run', async (t) => {
  const { plane, target } = await startOnTcp(t);
  const token = /sp_op_\S+/.exec(plane.controlPlane.notices[0]!)![0];
  const { body: { run_id } } = await plane.call<{ run_id: string }>('POST', '/chat/run', { body: { goal: 'x', channel: 'jail' } });
  t.like(await call(target, 'POST', `/chat/run/${run_id}/transition`, { token, body: { to: 'Done' } }), { status: 409, body: { legal: ['Cancelled'] } });
  t.is((await plane.call('POST', `/chat/run/${run_id}/transition`, { body: { to: 'Done' } })).status, 200);
});

test.serial('on the local socket a header is judged by itself: a wrong token is not the local operator', async (t) => {
  const { call: local } = await startTestControlPlane(t);
  t.is((await local('GET', '/chat/run')).status, 200);
  t.is((await local('GET', '/chat/run', { token: 'sp_op_wrongwrongwrongwrong' })).status, 401);
  t.is((await local('GET', '/chat/run', { headers: { authorization: '' } })).status, 401);
  t.is((await local('GET', '/admin/audit/head', { token: proxyToken })).status, 403);
});

test.serial('a proxy that speaks for a run is its agent and nothing else; nobody else may, the local socket without a header included', async (t) => {
  const { call: local } = await startTestControlPlane(t);
  const [one, two] = await Promise.all(['a', 'b'].map(async (goal) => (await local<{ run_id: string; agent_token: string }>('POST', '/chat/run', { body: { goal } })).body));
  const headers = { 'sallyport-run': `${one!.run_id};epoch=1` };
  t.like(await local('GET', `/chat/run/${one!.run_id}`, { token: proxyToken, headers }), { status: 200, body: { run_id: one!.run_id } });
  t.like(await local('GET', `/chat/run/${two!.run_id}`, { token: proxyToken, headers }), { status: 403, body: { code: 'forbidden' } });
  for (const path of ['/data-plane/stream?proxy_id=p', '/admin/proxies', `/data-plane/bundles/${'a'.repeat(64)}`, `/chat/run/${one!.run_id}/settled`]) {
    t.is((await local('GET', path, { token: proxyToken, headers })).status, 403, path);
  }
  t.is((await local('GET', `/chat/run/${one!.run_id}`, { headers })).status, 403, 'no header: not the local operator');
  t.is((await local('GET', `/chat/run/${one!.run_id}`, { token: one!.agent_token, headers })).status, 403);
  t.is((await local('GET', `/chat/run/${one!.run_id}`, { token: proxyToken })).status, 403, 'a proxy alone is no agent');
});

test.serial('a TCP client that closes at once is never taken for the local operator', async (t) => {
  const { plane, target } = await startOnTcp(t);
  for (let attempt = 0; attempt < 20; attempt++) {
    await within('a connection that closes', new Promise<void>((resolve) => {
      const body = JSON.stringify({ goal: 'sneak' });
      const socket = createConnection(target, () => {
        socket.write(`POST /chat/run HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`, () => { socket.resetAndDestroy(); });
      });
      socket.on('error', () => { /* Reset by ourselves. */ });
      socket.on('close', () => { resolve(); });
    }));
  }
  t.is((await call(target, 'GET', '/healthz')).status, 200);
  t.deepEqual((await plane.call<{ items: unknown[] }>('GET', '/chat/run')).body.items, []);
});

test.serial('whoever keeps guessing over TCP is put off, and others are not', async (t) => {
  const { plane, target } = await startOnTcp(t);
  const statuses: number[] = [];
  for (let attempt = 0; attempt < 22; attempt++) statuses.push((await call(target, 'GET', '/chat/run', { token: `sp_op_${'guess'.repeat(5)}${attempt}` })).status);
  t.deepEqual([...new Set(statuses)], [401, 429]);
  t.is(statuses.filter((status) => status === 429).length, 2);
  t.truthy((await call(target, 'GET', '/chat/run')).headers['retry-after']);
  t.is((await plane.call('GET', '/chat/run')).status, 200);
});

test.serial('whoever guesses cannot lock out those who have a key, behind the same address or on the socket', async (t) => {
  const { plane, target } = await startOnTcp(t);
  const key = /sp_op_\S+/.exec(plane.controlPlane.notices[0]!)![0];
  for (let attempt = 0; attempt < 25; attempt++) {
    const guess = { token: `sp_px_${'guess'.repeat(5)}${attempt}` };
    await call(target, 'GET', '/chat/run', guess);
    await plane.call('GET', '/chat/run', guess);
  }
  t.is((await call(target, 'GET', '/chat/run', { token: key })).status, 200);
  t.is((await plane.call('GET', '/chat/run', { token: key })).status, 200);
  t.is((await plane.call('GET', '/admin/audit/head', { token: proxyToken })).status, 403, 'the worker of this installation');
});
