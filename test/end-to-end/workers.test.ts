/** Several workers on one port: each serves every run, a killed one is back at once, and replacing them fails nobody's request. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { childrenOf } from '../helpers/children.ts';
import { startInstallation, type Installation } from '../helpers/installation.ts';
import type { Lifetime } from '../helpers/lifetime.ts';
import { startLoad } from '../helpers/load.ts';
import { needs } from '../helpers/needs.ts';
import { startOrigin } from '../helpers/origin.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { until } from '../helpers/wait.ts';
import { dnsZone } from '../helpers/world.ts';

const test = needs('world');
const jailed = needs('world', 'jail');

interface Scene {
  readonly installation: Installation;
  readonly host: string;
  readonly run_id: string;
  readonly authorization: string;
  /** Pids of the workers. */
  workers(): Promise<readonly number[]>;
}

async function setUp(lifetime: Lifetime, workers: number): Promise<Scene> {
  const zone = dnsZone(lifetime);
  const installation = await startInstallation(lifetime, { up: ['--workers', String(workers)] });
  const site = await startOrigin(lifetime, { respond: (_request, response) => { response.end('ok\n'); } });
  const host = await zone.set('site', [site.address]);
  const { body: { run_id, agent_token } } = await installation.api<{ run_id: string; agent_token: string }>('POST', '/chat/run', {
    goal: 'load', budget: { requests: 1_000_000, bytes_out: 2 ** 40, bytes_in: 2 ** 40, wall_clock_ms: 3_600_000 },
    policy: { allow: [{ id: 'allow-0', host, ports: [80], methods: ['GET'], path_prefix: null }] },
  });
  return {
    installation, host, run_id,
    authorization: `Basic ${Buffer.from(`${run_id}:${agent_token}`).toString('base64')}`,
    workers: () => childrenOf(installation.up.pid, 'proxy/main.ts'),
  };
}

interface Exported {
  readonly event: { readonly event_id: string; readonly type: string; readonly causes: readonly string[]; readonly actor: { readonly id: string }; readonly facts: { readonly egress_id?: string; readonly open?: readonly { readonly egress_id: string }[] } };
}

/** All events of the verified chain, once the run is over and its journals are ingested. */
async function chainOf(t: ExecutionContext, { installation, run_id }: Scene): Promise<Exported['event'][]> {
  const cancelled = await installation.command(['runs', 'cancel', run_id]);
  t.is(cancelled.code, 0, cancelled.stderr);
  const { body: { settled } } = await installation.api<{ settled: boolean }>('GET', `/chat/run/${run_id}/settled?wait_ms=30000`);
  t.true(settled, 'the journals were not ingested in time');
  const file = join(await temporaryFolder(t), 'trail.jsonl');
  const exported = await installation.command(['audit', 'export', '--out', file]);
  t.is(exported.code, 0, exported.stderr);
  const verified = await installation.command(['audit', 'verify', '--export', file]);
  t.is(verified.code, 0, verified.stdout + verified.stderr);
  return (await readFile(file, 'utf8')).trimEnd().split('\n').map((line) => (JSON.parse(line) as Partial<Exported>).event).filter((event) => event !== undefined);
}

/** Each that was decided has one end: told by its worker, or by the successor that found it open. */
function checkEnds(t: ExecutionContext, events: readonly Exported['event'][]): number {
  const ends = new Map<string, number>();
  const ended = (key: string): void => { ends.set(key, (ends.get(key) ?? 0) + 1); };
  for (const { type, causes, facts } of events) {
    if (['egress.completed', 'egress.failed', 'egress.cut'].includes(type)) for (const cause of causes) ended(cause);
    for (const { egress_id } of facts.open ?? []) ended(egress_id);
  }
  const decided = events.filter(({ type }) => type === 'egress.decided');
  t.deepEqual(decided.filter(({ event_id, facts }) => (ends.get(event_id) ?? 0) + (ends.get(facts.egress_id ?? '') ?? 0) !== 1).map(({ event_id }) => event_id), [], 'not exactly one end');
  return decided.length;
}

test.serial('four workers share one port and one run; one that is killed under load is back, the others go on, and its journal is whole', async (t) => {
  t.timeout(240_000);
  const scene = await setUp(t, 4);
  const { installation, host, authorization } = scene;
  const before = await scene.workers();
  t.is(before.length, 4);
  const load = startLoad(t, { port: installation.port, host, authorization, clients: 16, keepAlive: false });
  await until('load to flow', () => load.answered > 400, 60_000);
  t.deepEqual(load.failures, []);

  const killedAt = performance.now();
  process.kill(before[0]!, 'SIGKILL');
  await until('a successor that is ready', async () => /"The proxy worker \d was restarted\."/.test(await readFile(join(installation.data, 'log', 'sallyport.log'), 'utf8')), 60_000);
  const back = performance.now() - killedAt;
  const flowing = load.answered;
  await until('load to flow again', () => load.answered > flowing + 200, 60_000);
  await load.stop();
  const after = await scene.workers();
  t.is(after.length, 4);
  t.is(after.filter((pid) => before.includes(pid)).length, 3, 'another worker was started anew as well');
  t.true(load.failures.length <= 16, `more failed than were under way: ${JSON.stringify(load.failures)}`);
  // Its own connections break; nobody who comes later is turned away, whoever is there.
  t.deepEqual(load.failures.filter(({ what }) => /refused/i.test(what)), []);

  const events = await chainOf(t, scene);
  const decided = checkEnds(t, events);
  const shares = new Map<string, number>();
  for (const { type, actor } of events) if (type === 'egress.decided') shares.set(actor.id, (shares.get(actor.id) ?? 0) + 1);
  t.is(shares.size, 4, 'a worker served nothing, or is not the same to the control plane as before');
  t.true([...shares.values()].every((share) => share > decided / 40), `absurd shares: ${[...shares.values()].join(', ')}`);
  t.log(`back after ${Math.round(back)} ms, ${load.failures.length} broken, ${load.answered} answered, shares ${[...shares.values()].sort((a, b) => b - a).join(', ')}`);
});

for (const count of [1, 3]) {
  test.serial(`replacing ${count === 1 ? 'the only worker' : `${count} workers one after the other`} under load fails no request, with kept connections and with new ones`, async (t) => {
    t.timeout(240_000);
    const scene = await setUp(t, count);
    const { installation, host, authorization } = scene;
    const before = await scene.workers();
    const loads = [true, false].map((keepAlive) => startLoad(t, { port: installation.port, host, authorization, clients: 8, keepAlive }));
    await until('load to flow', () => loads.every(({ answered }) => answered > 100), 60_000);
    const began = performance.now();
    const restarted = await installation.command(['restart', '--json']);
    const took = performance.now() - began;
    t.is(restarted.code, 0, restarted.stderr);
    t.deepEqual(JSON.parse(restarted.stdout), { workers: count });
    const then = loads.map(({ answered }) => answered);
    await until('load to flow through the successors', () => loads.every(({ answered }, index) => answered > then[index]! + 100), 60_000);
    await Promise.all(loads.map((load) => load.stop()));
    t.deepEqual(loads.flatMap(({ failures }) => failures), []);
    const after = await scene.workers();
    t.is(after.length, count);
    t.deepEqual(after.filter((pid) => before.includes(pid)), []);
    const events = await chainOf(t, scene);
    t.is(checkEnds(t, events), loads.reduce((sum, { answered }) => sum + answered, 0));
    // A draw that was under way at the end leaves that to the successor; never an exchange.
    t.deepEqual(events.flatMap(({ facts }) => facts.open ?? []), [], 'a worker did not end in order');
    t.log(`${Math.round(took)} ms, ${loads.map(({ answered }) => answered).join(' and ')} answered`);
  });
}

jailed.serial('a jailed agent notices nothing when the workers are replaced', async (t) => {
  t.timeout(240_000);
  const { installation, host } = await setUp(t, 2);
  const loop = `import os, urllib.request
count = 0
while not os.path.exists('enough'):
    assert urllib.request.urlopen('http://${host}/%d' % count, timeout=60).status == 200
    count += 1
    if count == 50: print('flowing', flush=True)
print('fine %d' % count)
`;
  const folder = await temporaryFolder(t, 0o755);
  const agent = installation.start(['run', '--allow', `${host}:80:GET`, '--work', folder, '--give-work', '--', 'python3', '-c', loop]);
  await agent.line(/^flowing$/, 60_000);
  const restarted = await installation.command(['restart']);
  t.is(restarted.code, 0, restarted.stderr);
  await writeFile(join(folder, 'enough'), '');
  const { code } = await agent.exit(60_000);
  t.is(code, 0, agent.stderr());
  t.regex(agent.stdout(), /^fine \d+$/m);
});
