import { createConnection, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import type { CreatedRun, Page, RunView } from '../../contracts/run-api.ts';
import type { Lifetime } from '../helpers/lifetime.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { until } from '../helpers/wait.ts';
import { backends } from './backends.ts';
import { openProxyStream, proxyToken, startTestControlPlane } from './harness.ts';
import { denied, newEgress, TestJournal } from './segments.ts';

const postgres = backends.find(({ name }) => name === 'Postgres')!;

/** A way to the database that can be cut. */
async function cuttable(lifetime: Lifetime, url: string) {
  const parsed = new URL(url);
  const target = join(parsed.searchParams.get('host')!, '.s.PGSQL.5432');
  const folder = await temporaryFolder(lifetime);
  const sockets = new Set<Socket>();
  let cut = false;
  const server = createServer((socket) => {
    const upstream = createConnection(target);
    for (const end of [socket, upstream]) {
      sockets.add(end);
      end.on('error', () => { /* Cut. */ });
      end.on('close', () => { sockets.delete(end); socket.destroy(); upstream.destroy(); });
    }
    if (cut) socket.destroy();
    socket.pipe(upstream).pipe(socket);
  }).listen(join(folder, '.s.PGSQL.5432'));
  await once(server, 'listening');
  lifetime.teardown(() => { server.close(); for (const socket of sockets) socket.destroy(); });
  parsed.searchParams.set('host', folder);
  return {
    url: parsed.href,
    cut: () => { cut = true; for (const socket of sockets) socket.destroy(); },
    mend: () => { cut = false; },
  };
}

postgres.test('while the database is away every answer is 503 with Retry-After and nothing is half done; afterwards all goes on', async (t) => {
  const { url } = await postgres.locate(t);
  const way = await cuttable(t, url!);
  const plane = await startTestControlPlane(t, { databaseUrl: way.url });
  const stream = await openProxyStream(t, plane, 'prx_1');
  const journal = new TestJournal();
  const before = (await plane.call<CreatedRun>('POST', '/chat/run', { body: { goal: 'before' } })).body;
  way.cut();
  const segment = journal.segment([denied(before.run_id, newEgress())]);
  const requests = [
    plane.call('POST', '/chat/run', { body: { goal: 'during' } }), plane.call('GET', `/chat/run/${before.run_id}`), plane.call('POST', `/chat/run/${before.run_id}/cancel`),
    plane.call('GET', '/readyz'), plane.call('GET', '/admin/audit/head'),
    plane.call('POST', '/data-plane/events', { token: proxyToken, body: segment }),
    plane.call('POST', '/data-plane/allowances', { token: proxyToken, body: { draw_id: 'drw_1', journal_id: 'jnl_1', run_id: before.run_id, epoch: 1, wanted: { requests: 1 } } }),
  ];
  for (const answer of await Promise.all(requests)) {
    t.like(answer, { status: 503, headers: { 'content-type': 'application/problem+json', 'retry-after': '1' }, body: { code: 'database_unavailable' } });
  }
  t.is((await plane.call('GET', '/healthz')).status, 200);
  way.mend();
  await until('the database to be back', async () => (await plane.call('GET', '/readyz')).status === 200);
  t.deepEqual((await plane.call<Page<RunView>>('GET', '/chat/run')).body.items.map(({ goal, state }) => [goal, state]), [['before', 'Active']]);
  t.like(await plane.call('POST', '/data-plane/events', { token: proxyToken, body: segment }), { status: 200, body: { status: 'ingested' } });
  await plane.call('POST', `/chat/run/${before.run_id}/cancel`);
  await stream.wait('the cancel on the stream that stayed open', (message) => message.type === 'run' && message.run.state === 'Cancelled');
  t.true(plane.faults.every(({ code }) => code === 'database_unavailable'), plane.faults.map(({ message }) => message).join('\n'));
});

postgres.test('connections that break in the middle of transactions leave whole runs or none', async (t) => {
  const { url } = await postgres.locate(t);
  const way = await cuttable(t, url!);
  const plane = await startTestControlPlane(t, { databaseUrl: way.url });
  for (let round = 0; round < 5; round++) {
    const requests = Array.from({ length: 20 }, () => plane.call<CreatedRun>('POST', '/chat/run', { body: { goal: 'test' } }));
    await Promise.race(requests);
    way.cut();
    for (const { status } of await Promise.all(requests)) t.true(status === 201 || status === 503, String(status));
    way.mend();
    await until('the database to be back', async () => (await plane.call('GET', '/readyz')).status === 200);
  }
  const { items } = (await plane.call<Page<RunView>>('GET', '/chat/run?limit=200')).body;
  for (const { run_id, budget } of items) {
    t.is(Object.keys(budget).length, 9);
    t.is((await plane.call<Page<unknown>>('GET', `/chat/run/${run_id}/actions`)).body.items.length, 1);
  }
  t.true(items.length >= 5);
});
