/**
 * Allowances recalled between workers and proxies: real workers and control planes in this process, and a real origin that counts.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { systemClock } from '../../contracts/clock.ts';
import type { CreatedRun, RunView } from '../../contracts/run-api.ts';
import { packBundle } from '../../engine/bundle.ts';
import { loadBundle } from '../../engine/load-bundle.ts';
import { parseConfiguration } from '../../proxy/config.ts';
import { NameResolver } from '../../proxy/enforce/resolver.ts';
import { startWorker } from '../../proxy/worker.ts';
import { backends } from '../control-plane/backends.ts';
import { proxyToken, startTestControlPlane, type TestControlPlane } from '../control-plane/harness.ts';
import { ask, head, loopback, RawClient, startLocalOrigin, startLocalServer, type Answer } from '../helpers/proxy-worker.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { until, within } from '../helpers/wait.ts';

interface Place {
  readonly plane: TestControlPlane;
  /** One port for each worker: four of one machine, two of another. */
  readonly ports: readonly number[];
}

/** With Postgres the other machine's workers are connected to another replica. */
async function start(t: ExecutionContext, databaseUrl: string | undefined): Promise<Place> {
  const loaded = await loadBundle(fileURLToPath(new URL('../../policies', import.meta.url)));
  const options = { bundle: { revision: loaded.revision, body: Buffer.from(packBundle(loaded)) }, ...databaseUrl !== undefined && { databaseUrl } };
  const plane = await startTestControlPlane(t, options);
  const other = databaseUrl === undefined ? plane : await startTestControlPlane(t, options);
  const [here, there] = [await temporaryFolder(t), await temporaryFolder(t)];
  const ports: number[] = [];
  for (const [folder, { folder: planeFolder }, slot] of [[here, plane, 0], [here, plane, 1], [here, plane, 2], [here, plane, 3], [there, other, 0], [there, other, 1]] as const) {
    const data_folder = join(folder, String(slot));
    await mkdir(data_folder);
    const worker = await startWorker(parseConfiguration({
      data_folder, slot, control_plane: { socket_path: join(planeFolder, 'api.sock') }, data_plane_token: proxyToken, listen: { host: '127.0.0.1', port: 0 },
    }), { clock: systemClock, resolver: new NameResolver(systemClock, (_host, family) => family === 4
      ? Promise.resolve({ addresses: ['127.0.0.1'], ttlSeconds: 60 }) : Promise.reject(Object.assign(new Error('none'), { code: 'ENOTFOUND' }))) });
    t.teardown(() => worker.stop(0));
    await within('the worker to be ready', worker.ready);
    ports.push((worker.address as { readonly port: number }).port);
  }
  return { plane, ports };
}

interface TestRun {
  readonly run_id: string;
  readonly authorization: string;
  get(port: number, path?: string): Promise<Answer>;
}

async function createRun({ plane, ports }: Place, origin: { readonly port: number }, budget: object): Promise<TestRun> {
  const { body: { run_id, agent_token, proxies } } = await plane.call<CreatedRun>('POST', '/chat/run', { body: {
    goal: 'test', budget, policy: { ...loopback, allow: [{ id: 'site', host: 'site.test', ports: [origin.port], methods: ['GET'] }] },
  } });
  if (proxies.acknowledged !== ports.length) throw new Error(`${proxies.acknowledged} of ${ports.length} workers know the run`);
  const authorization = `Basic ${Buffer.from(`${run_id}:${agent_token}`).toString('base64')}`;
  return { run_id, authorization, get: (port, path = '/') => ask({ port }, `http://site.test:${origin.port}${path}`, { authorization }) };
}

const usedOf = async ({ plane }: Place, run_id: string): Promise<RunView['budget']> => (await plane.call<RunView>('GET', `/chat/run/${run_id}`)).body.budget;

const countOf = (answers: readonly Answer[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { status, code } of answers) counts[code ?? status] = (counts[code ?? status] ?? 0) + 1;
  return counts;
};

for (const { name, test, locate } of backends) {
  test(`200 parallel requests with 100 left over 4 workers and 2 proxies bring exactly 100 to the origin (${name})`, async (t) => {
    t.timeout(240_000, 'six workers and a control plane share this process');
    const place = await start(t, (await locate(t)).url);
    const { ports } = place;
    const origin = await startLocalOrigin(t);
    const shares: Readonly<Record<string, (index: number) => number>> = {
      'spread over all': (index) => index % ports.length,
      'nearly all at one, while the others hold what they do not need': (index) => (index < 190 ? 0 : index % ports.length),
      'at two of different machines': (index) => (index % 2 === 0 ? 1 : 5),
    };
    for (const [title, share] of Object.entries(shares)) {
      const before = origin.requests.length;
      const run = await createRun(place, origin, { requests: 106 });
      // Each has drawn, and holds some units that it will not use.
      for (const port of ports) t.is((await run.get(port)).status, 200);
      const begun = performance.now();
      const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => run.get(ports[share(index)]!)));
      t.log(`${title}: ${Math.round(performance.now() - begun)} ms`);
      t.deepEqual(countOf(answers), { 200: 100, budget_exhausted: 100 }, title);
      t.is(origin.requests.length - before, 106, title);
      await until('the ledger to have it all', async () => (await usedOf(place, run.run_id)).requests?.used === 106);
      t.like((await usedOf(place, run.run_id)).requests, { limit: 106, used: 106, remaining: 0 }, title);
    }
  });
}

const small = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const largeBytes = 3 * 1024 * 1024;
const largeHead = `HTTP/1.1 200 OK\r\nContent-Length: ${largeBytes}\r\n\r\n`;
const large = Buffer.alloc(largeBytes, 'x');

/** Its answers are known to the byte. */
async function startByteOrigin(t: ExecutionContext): Promise<{ readonly port: number }> {
  return await startLocalServer(t, (socket) => {
    socket.setEncoding('latin1').on('data', (text: string) => {
      if (text.startsWith('GET /large ')) {
        socket.write(largeHead);
        socket.write(large);
      } else socket.write(small);
    });
  });
}

for (const { name, test, locate } of backends) {
  test(`downloads over two workers are cut so that together they get bytes_in to the byte (${name})`, async (t) => {
    const place = await start(t, (await locate(t)).url);
    const { ports } = place;
    const origin = await startByteOrigin(t);
    const limit = 1_500_001;
    const run = await createRun(place, origin, { bytes_in: limit });
    // Each has drawn up to a quarter of what there was.
    for (const port of ports) t.is((await run.get(port, '/small')).body, 'ok');
    const clients = [ports[0]!, ports[5]!].map((port) => new RawClient({ port }));
    for (const client of clients) client.send(head(`http://site.test:${origin.port}/large`, { authorization: run.authorization }));
    const bodies = await Promise.all(clients.map(async (client) => {
      const text = await client.ended();
      return text.slice(text.indexOf('\r\n\r\n') + 4).length;
    }));
    t.is(bodies.reduce((sum, bytes) => sum + bytes, 0), limit - ports.length * small.length - clients.length * largeHead.length);
    t.true(bodies.every((bytes) => bytes > 0), `${bodies}`);
    t.deepEqual(countOf([await run.get(ports[2]!, '/small')]), { budget_exhausted: 1 });
    await until('the ledger to have it all', async () => (await usedOf(place, run.run_id)).bytes_in?.used === limit);
    t.like((await usedOf(place, run.run_id)).bytes_in, { used: limit, remaining: 0 });
  });

  test(`with one unit left, idle at a third worker, and somebody waiting at each of two, exactly one gets it and the other hears so soon (${name})`, async (t) => {
    const place = await start(t, (await locate(t)).url);
    const { ports } = place;
    const origin = await startLocalOrigin(t);
    for (let round = 0; round < 3; round++) {
      const before = origin.requests.length;
      // A third worker draws two and uses one, then the first uses all else: the last unit lies where nobody wants it.
      const run = await createRun(place, origin, { requests: 8 });
      t.is((await run.get(ports[4]!)).status, 200);
      for (let count = 0; count < 6; count++) t.is((await run.get(ports[0]!)).status, 200);
      const begun = performance.now();
      const answers = await Promise.all([run.get(ports[0]!), run.get(ports[1]!)]);
      t.log(`${Math.round(performance.now() - begun)} ms`);
      t.deepEqual(countOf(answers), { 200: 1, budget_exhausted: 1 });
      t.is(origin.requests.length - before, 8);
    }
  });
}
