import type { AgentCommand, AgentReport, WantedAgent } from '../../contracts/agents.ts';
import { makeChange, type Change } from '../change.ts';
import { countProxies } from '../proxies/commands.ts';
import { endAgentsRun, getRun, renewLeases } from '../runs/commands.ts';
import type { Services } from '../services.ts';
import { outcomeOf, planFor, type Agent, type Outcome } from './rules.ts';
import { claim, insertAgent, selectAgent, selectForHost, selectUnclaimed, setExited, setRunning, setWanted } from './store.ts';

/** Runs whose leases one heartbeat renews though no host has a place for them yet. */
const mostUnclaimed = 10_000;

/** With the run's creation: what is to be started for it once it is Active. */
export async function addAgent(change: Change, { run_id, epoch, command, active }: { readonly run_id: string; readonly epoch: number; readonly command: AgentCommand; readonly active: boolean }): Promise<void> {
  await insertAgent(change.trx, { run_id, epoch, command, status: active ? 'wanted' : 'waiting', host_id: undefined });
}

/** With the run's activation; nothing where its agent is somebody else's to start. */
export async function wantAgent(change: Change, run_id: string): Promise<void> {
  await setWanted(change.trx, run_id);
}

/** With the run's end; its host is then told to stop what is left. */
export async function closeAgent(change: Change, run_id: string, exit_code: number | undefined): Promise<void> {
  await setExited(change.trx, run_id, exit_code);
}

/** Whether a jail host, and not a launcher, keeps the run's lease. */
export async function isHosted(change: Change, run_id: string): Promise<boolean> {
  return await selectAgent(change.trx, run_id) !== undefined;
}

/** Takes a host's word. What is said of a run that is over, or of another start of it, changes nothing. */
export async function takeReport(services: Services, report: AgentReport): Promise<void> {
  switch (report.type) {
    case 'heartbeat':
      await makeChange(services, async (change) => {
        const waiting = await selectUnclaimed(change.trx, mostUnclaimed);
        await renewLeases(change, [...report.present.map(({ run_id }) => run_id), ...waiting]);
      });
      return;
    case 'started':
      await makeChange(services, async (change) => {
        if (await setRunning(change.trx, report.run_id, report.epoch, report.host_id)) await renewLeases(change, [report.run_id]);
      });
      return;
    case 'exited':
    case 'refused':
      await endFor(services, report, report.host_id, outcomeOf(report));
  }
}

async function endFor(services: Services, { run_id, epoch }: { readonly run_id: string; readonly epoch: number }, host_id: string, outcome: Outcome): Promise<void> {
  const agent = await selectAgent(services.database.kysely, run_id);
  if (agent === undefined || agent.epoch !== epoch || agent.host_id !== host_id) return;
  await makeChange(services, (change) => endAgentsRun(change, run_id, epoch, outcome));
}

export interface HostNews {
  readonly stop: readonly string[];
  readonly start: readonly WantedAgent[];
}

/**
 * What a host that knows `known` has to be told now. As it connects, `known` is what it still has: what it ran besides is lost.
 * An agent is handed out once every proxy knows its run, so that the way out is there before the agent is.
 */
export async function newsFor(services: Services, host_id: string, known: ReadonlySet<string>, connects: boolean): Promise<HostNews> {
  const plan = planFor(host_id, await selectForHost(services.database.kysely, host_id), known);
  if (connects) for (const agent of plan.lost) await endFor(services, agent, host_id, { to: 'Failed', reason: 'agent lost' });
  const start: WantedAgent[] = [];
  for (const agent of plan.start) {
    const wanted = await takeFor(services, host_id, agent);
    if (wanted !== undefined) start.push(wanted);
  }
  return { stop: plan.stop, start };
}

async function takeFor(services: Services, host_id: string, { run_id, epoch, command }: Agent): Promise<WantedAgent | undefined> {
  const run = await getRun(services.database.kysely, run_id);
  if (run.state !== 'Active') return undefined;
  const { connected, acknowledged } = await countProxies(services, run.version);
  if (connected === 0 || acknowledged < connected) return undefined;
  const taken = await makeChange(services, (change) => claim(change.trx, run_id, host_id));
  return taken ? { run_id, epoch, short_id: run.short_id, command, intercept: run.policy.intercept } : undefined;
}

