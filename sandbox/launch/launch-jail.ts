import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { isMainThread } from 'node:worker_threads';
import type { Clock } from '../../contracts/clock.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { Jail, JailHooks, JailSpec } from '../../contracts/jail.ts';
import { agentEnvironment, toolsFolder } from '../agent-environment.ts';
import { takeLimits, type Limits } from '../limits/limits.ts';
import { findJailProcesses } from '../processes.ts';
import { seccompFilter } from '../seccomp/filter.ts';
import { bubblewrapArguments } from './bubblewrap-arguments.ts';
import { launchCommand } from './command.ts';
import type { Defences } from './defences.ts';
import { bootPath, givenFiles } from './given-files.ts';
import { launchFailure } from './failure.ts';
import { adoptListener, awaitBoot, beginAgent } from './handshake.ts';
import { findSettings, findSystemFolders } from './host-folders.ts';
import { openRealPipes, type RealPipes } from './real-pipes.ts';
import { RunningJail, type Exit } from './running-jail.ts';
import { stageSources, type Sources } from './staging.ts';
import { findTool } from './tools.ts';
import { Undo } from './undo.ts';
import { faultsIn, ownNamespaces } from './witness.ts';
import { trustFiles } from '../trust/trust-files.ts';
import { watchMemory } from '../limits/memory-watcher.ts';
import { observe } from '../work/observation.ts';
import { prepareWork, type PreparedWork } from '../work/prepare.ts';

/** Descriptors that bwrap is started with, after its three streams. */
const channelDescriptor = 3;
const argumentsDescriptor = 4;
const filterDescriptor = 5;
const firstFileDescriptor = 6;

/**
 * Starts the agent of `spec` in a jail with these `defences`, or throws `jail_spec`, `jail_unavailable` or `missing_tool` and
 * leaves nothing behind. The order: check and open the work folder, choose the uid, take limits, start bwrap with the boot script,
 * look at what it saw from inside, and only then let it become the agent.
 */
export async function launchJail(spec: JailSpec, hooks: JailHooks, clock: Clock, defences: Defences): Promise<Jail> {
  if (!isMainThread) {
    throw new SallyportError('jail_unavailable', 'A jail dies with the thread that started it, so only the main thread of a process may start one.', { next_steps: ['Start it from the main thread.'] });
  }
  const undo = new Undo();
  try {
    const env = agentEnvironment(spec);
    const filter = seccompFilter(process.arch, spec);
    const work = await prepareWork(spec, (folder) => undo.add(() => folder.close()));
    const limits = takeLimits(spec, work.identity, `${process.pid}-${randomBytes(6).toString('hex')}`);
    undo.add(() => limits.remove());
    const pipes = await openRealPipes();
    undo.add(() => pipes.closeAgentEnds());
    const failed = new Undo();
    failed.add(() => pipes.destroy());
    try {
      return await start({ spec, hooks, clock, defences, env, filter, work, limits, pipes, undo, failed });
    } catch (error) {
      await failed.run();
      throw error;
    }
  } catch (error) {
    await undo.run();
    throw error;
  }
}

interface Preparation {
  readonly spec: JailSpec;
  readonly hooks: JailHooks;
  readonly clock: Clock;
  readonly defences: Defences;
  readonly env: Readonly<Record<string, string>>;
  readonly filter: Buffer;
  readonly work: PreparedWork;
  readonly limits: Limits;
  readonly pipes: RealPipes;
  /** In any case, at the end; and what only a failed launch takes back. */
  readonly undo: Undo;
  readonly failed: Undo;
}

async function start(prepared: Preparation): Promise<Jail> {
  const { spec, hooks, clock, defences, env, work, limits, pipes, undo, failed } = prepared;
  const sources = stageSources(work.identity, work.folder, process.execPath);
  undo.add(() => sources.remove());
  const { child, feed } = spawnBubblewrap(prepared, sources);
  const exit = once(child, 'exit').then(([code, signal]): Exit => ({ code: code as Exit['code'], signal: signal as Exit['signal'] }));
  // A spawn that fails has no exit; awaitBoot tells it.
  exit.catch(() => undefined);
  failed.add(async () => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await exit;
  });
  pipes.closeAgentEnds();
  feed();
  const observation = observe(work.folder, spec, clock);
  observation.catch(() => undefined);
  const { witness, server } = await awaitBoot(child, pipes.stderr, clock);
  failed.add(() => server.close());
  sources.remove();
  const faults = faultsIn(witness, { work: work.folder, identity: work.identity, defences, namespaces: ownNamespaces() });
  if (faults.length > 0) throw new SallyportError('jail_unavailable', `The jail was built wrongly, so the agent was not started: ${faults.join('; ')}.`);
  const found = findJailProcesses(child.pid ?? 0);
  if (found === undefined) throw launchFailure('The processes of the jail cannot be found in /proc.', undefined);
  const listener = await adoptListener(server, (socket) => hooks.onConnection(socket));
  failed.add(() => listener.close());
  const seen = await observation;
  await beginAgent(child, { argv: spec.argv, env }, pipes.stderr);

  const watchers = limits.keepers.memory === 'watcher'
    ? [watchMemory(found.init.pid, spec.memory_bytes, clock, () => { void jail.kill('memory_limit'); })]
    : [];
  watchers.push(seen.watch(() => { void jail.kill('work_quota'); }));
  const jail: RunningJail = new RunningJail({
    facts: {
      uid: work.identity.uid, gid: work.identity.gid, dropped: work.identity.dropped,
      work: work.folder.path, agent_pid: found.agent.pid,
      limits: { ...limits.keepers, work: spec.work_quota_bytes === undefined ? 'none' : 'watcher' },
      warnings: seen.warnings,
    },
    listener, pipes, bubblewrap: child.pid ?? 0, bubblewrapExit: exit, ...found, limits, clock,
    stopWatching: () => watchers.forEach((watcher) => watcher.stop()),
    inspect: () => seen.inspect(),
    cleanUp: () => undo.run(),
  });
  return jail;
}

/** `feed` sends what it reads from its descriptors: what is made only then is made while it starts. */
function spawnBubblewrap({ spec, defences, work, limits, filter, pipes }: Preparation, sources: Sources): { readonly child: ChildProcess; feed(): void } {
  const settings = findSettings();
  const trust = spec.trust === undefined ? { files: [], links: [] } : trustFiles(spec.trust.ca, settings);
  const files = [...givenFiles(work.identity).map(({ path, content }) => ({ path, content: () => content, over: false })), ...trust.files];
  const options = bubblewrapArguments({
    spec, defences, systemFolders: findSystemFolders(), settings, links: trust.links,
    files: files.map(({ path, over }, index) => ({ path, over, descriptor: firstFileDescriptor + index })),
    node: sources.node, work: sources.work, filterDescriptor, channelDescriptor,
  });
  const [command = '', ...args] = launchCommand({
    identity: work.identity, cgroups: limits.joins, mounts: sources.mounts, resources: limits.resources,
    // Its arguments would be readable in /proc/1/cmdline inside.
    bubblewrap: [findTool('bwrap'), '--args', String(argumentsDescriptor), '--', `${toolsFolder}/node`, '--no-warnings', bootPath],
  });
  const stdio: StdioOptions = [...pipes.descriptors, 'ipc', 'pipe', 'pipe', ...files.map(() => 'pipe' as const)];
  // An empty environment: /proc/1/environ is readable inside. A session of its own: Ctrl-C at the terminal is the launcher's to handle.
  const child = spawn(command, args, { cwd: '/', env: {}, detached: true, stdio });
  const contents = [() => options.map((option) => `${option}\0`).join(''), () => filter, ...files.map(({ content }) => content)];
  const feed = (): void => contents.forEach((content, index) => {
    const stream = child.stdio[argumentsDescriptor + index] as Duplex | null | undefined;
    // Unread, it would keep the process from being seen to end; and a jail that fails early reads nothing of it.
    stream?.on('error', () => stream.destroy()).resume().end(content());
  });
  return { child, feed };
}
