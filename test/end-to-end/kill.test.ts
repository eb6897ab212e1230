/**
 * kill -9 of any process loses no event: the proxy worker and the control plane are killed at 50 random instants under load,
 * and every request that the origin saw has its `egress.decided` in the verified chain, each once.
 */
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { childrenOf } from '../helpers/children.ts';
import { startInstallation } from '../helpers/installation.ts';
import { needs } from '../helpers/needs.ts';
import { startOrigin } from '../helpers/origin.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { until } from '../helpers/wait.ts';
import { dnsZone } from '../helpers/world.ts';

const test = needs('world');

const kills = 50;
const clientsAtOnce = 8;
/** Milliseconds that a client waits after a refusal. */
const patience = 20;

test('50 random kill -9 of worker and control plane under load: what the origin saw is in the chain, each once', async (t) => {
  t.timeout(400_000);
  const zone = dnsZone(t);
  const installation = await startInstallation(t);
  const site = await startOrigin(t, { respond: (_request, response) => { response.end('ok\n'); } });
  const host = await zone.set('site', [site.address]);
  const { body: run } = await installation.api<{ run_id: string; agent_token: string }>('POST', '/chat/run', {
    goal: 'load', budget: { requests: 1_000_000, bytes_out: 2 ** 40, bytes_in: 2 ** 40, wall_clock_ms: 3_600_000 },
    policy: { allow: [{ id: 'allow-0', host, ports: [80], methods: ['GET'], path_prefix: null }] },
  });
  const authorization = `Basic ${Buffer.from(`${run.run_id}:${run.agent_token}`).toString('base64')}`;

  const load = { on: true };
  let sent = 0;
  let answered = 0;
  const agent = new Agent({ keepAlive: true, maxSockets: clientsAtOnce });
  const one = (): Promise<void> => new Promise((resolve) => {
    const outgoing = request({
      agent, host: '127.0.0.1', port: installation.port, path: `http://${host}/${++sent}`, timeout: 20_000,
      headers: { host, 'proxy-authorization': authorization },
    }, (response) => {
      if (response.statusCode === 200) answered++;
      // Told to come again while the control plane is away: a client that insisted would take the processor from its restart.
      response.resume().on('close', () => { void pause(response.statusCode === 200 ? 0 : patience).then(resolve); });
    });
    outgoing.on('timeout', () => outgoing.destroy());
    // Refused while the worker is away: that is what a kill looks like to a client.
    outgoing.on('error', () => { void pause(patience).then(resolve); });
    outgoing.end();
  });
  const clients = Array.from({ length: clientsAtOnce }, async () => { while (load.on) await one(); });

  let killed = 0;
  while (killed < kills) {
    const script = Math.random() < 0.5 ? 'proxy/main.ts' : 'control-plane/main.ts';
    // Mostly under load, now and then while it starts. More answers than were under way at the last kill can only be new ones.
    const before = answered;
    if (Math.random() < 0.85) await until('load to flow again', () => answered > before + clientsAtOnce, 60_000);
    // The instant is the experiment, so this one waits by the clock.
    await pause(Math.random() * 300);
    const [pid] = await until(`${script} to run`, async () => {
      const found = await childrenOf(installation.up.pid, script);
      return found.length > 0 && found;
    });
    try {
      process.kill(pid ?? 0, 'SIGKILL');
      killed++;
    } catch {
      // It had been killed a moment ago and not been replaced yet.
    }
  }
  const before = answered;
  await until('requests to be answered again after the last kill', () => answered > before + 50, 60_000);
  load.on = false;
  await Promise.all(clients);
  agent.destroy();

  // Allowances carry the load for a while without the control plane, and the last kill may have been its.
  await until('the control plane to answer', async () => (await installation.api('GET', `/chat/run/${run.run_id}`)).status === 200, 60_000);
  const cancelled = await installation.command(['runs', 'cancel', run.run_id]);
  t.is(cancelled.code, 0, cancelled.stderr);
  const { body: settled } = await installation.api<{ settled: boolean }>('GET', `/chat/run/${run.run_id}/settled?wait_ms=30000`);
  t.true(settled.settled, 'the journals were not ingested in time');

  const file = join(await temporaryFolder(t), 'trail.jsonl');
  const exported = await installation.command(['audit', 'export', '--out', file]);
  t.is(exported.code, 0, exported.stderr);
  const verified = await installation.command(['audit', 'verify', '--export', file]);
  t.is(verified.code, 0, verified.stdout + verified.stderr);

  const decided = new Map<string, number>();
  let spent = 0;
  for (const line of (await readFile(file, 'utf8')).trimEnd().split('\n')) {
    // A body line of an entry (contracts/entry.ts).
    const { event, payload } = JSON.parse(line) as { readonly event?: { readonly type: string; readonly facts: { readonly spent?: { readonly requests?: number } } }; readonly payload?: { readonly path: string } };
    spent += event?.facts.spent?.requests ?? 0;
    if (event?.type !== 'egress.decided' || payload === undefined) continue;
    decided.set(payload.path, (decided.get(payload.path) ?? 0) + 1);
  }
  const seen = new Set(site.requests.map(({ target }) => target));
  t.true(seen.size > 200, `only ${seen.size} requests reached the origin`);
  t.deepEqual([...seen].filter((path) => !decided.has(path)), [], 'the origin saw requests that the chain does not know');
  t.deepEqual([...decided].filter(([, times]) => times > 1), [], 'decisions are in the chain more than once');

  const { body: view } = await installation.api<{ budget: { requests: { used: number; reserved: number } } }>('GET', `/chat/run/${run.run_id}`);
  t.is(view.budget.requests.used, spent, 'the ledger and the chain disagree');
  t.is(view.budget.requests.reserved, 0, 'a dead worker still holds units');
  t.log(`${kills} kills, ${sent} sent, ${answered} answered, ${seen.size} at the origin, ${decided.size} decided, ${view.budget.requests.used} settled`);
});
