import type { Server } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../../contracts/clock.ts';
import type { Jail, JailEnd, JailEnding, JailFacts } from '../../contracts/jail.ts';
import type { Limits } from '../limits/limits.ts';
import { isAlive, type ProcessName } from '../processes.ts';
import type { RealPipes } from './real-pipes.ts';

/** The kernel ends a jail's processes with its first one, a few milliseconds after; a process in an uninterruptible wait takes longer. */
const longestDyingMs = 5000;
/** What a shell says of a process that SIGKILL ended. */
const killedCode = 137;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunningParts {
  readonly facts: JailFacts;
  readonly listener: Server;
  readonly pipes: RealPipes;
  /** bwrap's own process outside; its end is `bubblewrapExit`. */
  readonly bubblewrap: number;
  readonly bubblewrapExit: Promise<Exit>;
  readonly init: ProcessName;
  readonly agent: ProcessName;
  readonly limits: Limits;
  readonly clock: Clock;
  stopWatching(): void;
  /** Groups, descriptors. */
  cleanUp(): Promise<void>;
  /** What the agent left behind, once no process of it is left. */
  inspect(): Promise<Pick<JailEnd, 'git_changes' | 'warnings'>>;
}

/** A jail whose agent runs, from here to its end. */
export class RunningJail implements Jail {
  readonly facts: JailFacts;
  readonly listener: Server;
  readonly stdin: RealPipes['stdin'];
  readonly stdout: RealPipes['stdout'];
  readonly stderr: RealPipes['stderr'];
  readonly exited: Promise<JailEnd>;
  readonly #parts: RunningParts;
  #ending: JailEnding = 'agent';
  #destroyed = false;

  constructor(parts: RunningParts) {
    this.#parts = parts;
    this.facts = parts.facts;
    this.listener = parts.listener;
    ({ stdin: this.stdin, stdout: this.stdout, stderr: this.stderr } = parts.pipes);
    this.exited = this.#end();
  }

  async stop(graceMs: number): Promise<JailEnd> {
    this.#because('stop');
    const { agent, clock } = this.#parts;
    // To the agent alone: SIGTERM to bwrap would end everything hard.
    if (isAlive(agent)) signal(agent.pid, 'SIGTERM');
    const timer = clock.setTimeout(() => this.#destroy(), graceMs);
    const end = await this.exited;
    timer.cancel();
    return end;
  }

  kill(because: 'kill' | 'memory_limit' | 'work_quota' = 'kill'): Promise<JailEnd> {
    this.#because(because);
    this.#destroy();
    return this.exited;
  }

  /** The first reason stays; a stop that had to become a kill is still a stop. */
  #because(ending: JailEnding): void {
    if (this.#ending === 'agent') this.#ending = ending;
  }

  #destroy(): void {
    const { listener, limits, init, bubblewrap } = this.#parts;
    this.#destroyed = true;
    listener.close();
    limits.kill();
    // With the first process of a pid namespace die all of it.
    if (isAlive(init)) signal(init.pid, 'SIGKILL');
    signal(bubblewrap, 'SIGKILL');
  }

  async #end(): Promise<JailEnd> {
    const { bubblewrapExit, init, limits, listener, clock } = this.#parts;
    const ended = await bubblewrapExit;
    // bwrap may still tell how its first process ended before it dies itself: what we killed is told as killed.
    const exit: Exit = this.#destroyed ? { code: null, signal: 'SIGKILL' } : ended;
    this.#parts.stopWatching();
    listener.close();
    const warnings: string[] = [];
    if (!await isGone(init, clock)) warnings.push(`A process of the jail (pid ${init.pid}) has not ended ${longestDyingMs} ms after it was killed.`);
    const memoryKills = limits.memoryKills();
    if (memoryKills > 0 && exit.code === killedCode) this.#because('memory_limit');
    const found = await this.#parts.inspect().catch((error: unknown) => ({
      git_changes: [], warnings: [`The work folder could not be looked through: ${error instanceof Error ? error.message : String(error)}`],
    }));
    await this.#parts.cleanUp();
    return {
      code: exit.code ?? undefined,
      signal: exit.signal ?? undefined,
      ended_by: this.#ending,
      memory_kills: memoryKills,
      git_changes: found.git_changes,
      warnings: [...warnings, ...found.warnings],
    };
  }
}

/** bwrap tells the agent's exit code a moment before its pid 1 ends, and with it what the agent left running. */
async function isGone(init: ProcessName, clock: Clock): Promise<boolean> {
  const end = clock.monotonic() + longestDyingMs;
  for (let wait = 1; isAlive(init); wait = Math.min(wait * 2, 50)) {
    if (clock.monotonic() > end) return false;
    if (wait > 8) signal(init.pid, 'SIGKILL');
    await pause(wait);
  }
  return true;
}

function signal(pid: number, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself.
  }
}
