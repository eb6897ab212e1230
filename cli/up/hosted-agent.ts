import type { AgentReport, WantedAgent } from '../../contracts/agents.ts';
import { systemClock } from '../../contracts/clock.ts';
import { toSallyportError } from '../../contracts/errors.ts';
import type { Jail, JailEnd } from '../../contracts/jail.ts';
import { agentLog } from '../data-folder-paths.ts';
import { jailNotes } from '../report/notes.ts';
import { connectRun } from '../run/connect-run.ts';
import { createRelay } from '../run/relay.ts';
import { trustFor } from '../run/trust.ts';
import { verdictOf } from '../run/verdict.ts';
import { openAgentLog, type AgentLog } from './agent-log.ts';

type OwnReport = Exclude<AgentReport, { type: 'heartbeat' }>;
type WithoutHost<T> = T extends unknown ? Omit<T, 'host_id'> : never;

export interface HostServices {
  /** Waits for a place; the function gives it back. */
  place(): Promise<() => void>;
  report(report: WithoutHost<OwnReport>): Promise<void>;
  say(text: string): void;
}

/** One agent of the jail host, from the order to its last report. */
export class HostedAgent {
  readonly wanted: WantedAgent;
  readonly #folder: string;
  readonly #services: HostServices;
  readonly #done = Promise.withResolvers<void>();
  #jail: Jail | undefined;
  /** It is to end, or not to begin. */
  #ended = false;
  #why: string | undefined;

  constructor(wanted: WantedAgent, folder: string, services: HostServices) {
    this.wanted = wanted;
    this.#folder = folder;
    this.#services = services;
  }

  /** Settles when its end has been told. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** `why` is told as the reason, where the control plane doesn't know it yet. */
  end(why: string | undefined): void {
    this.#why ??= why;
    this.#ended = true;
    void this.#jail?.kill();
  }

  /** Never rejects. */
  async run(): Promise<void> {
    const giveBack = await this.#services.place();
    try {
      if (!this.#ended) await this.#attend();
      else if (this.#why !== undefined) await this.#report({ type: 'exited', reason: this.#why });
    } catch (error) {
      const { code, message } = toSallyportError(error);
      this.#services.say(`The agent of run ${this.wanted.run_id} could not be started (${code}).`);
      await this.#report({ type: 'refused', code, detail: message.slice(0, 900) });
    } finally {
      giveBack();
      this.#done.resolve();
    }
  }

  async #attend(): Promise<void> {
    const { run_id, short_id, command, intercept } = this.wanted;
    const log = openAgentLog(agentLog(this.#folder, run_id));
    const relay = createRelay(connectRun(this.#folder, short_id, systemClock));
    try {
      // Not loaded before there is an agent.
      const { startJail } = await import('../../sandbox/start-jail.ts');
      const jail = await startJail({ ...command, run_id, keep_out: [this.#folder], ...await trustFor({ intercept }, this.#folder) }, { onConnection: (socket) => relay.accept(socket) });
      this.#jail = jail;
      if (this.#ended) void jail.kill();
      jail.stdin.on('error', () => { /* The agent has ended. */ });
      jail.stdin.end();
      const outputs = Promise.all([drain(jail.stdout, log), drain(jail.stderr, log)]);
      for (const warning of jail.facts.warnings) log.note(warning);
      await this.#report({ type: 'started' });
      const end = await jail.exited;
      await outputs;
      for (const note of jailNotes(end)) log.note(note);
      await this.#tellEnd(end);
    } finally {
      relay.close();
      log.close();
    }
  }

  async #tellEnd(end: JailEnd): Promise<void> {
    const { reason, agentCode } = verdictOf({ end, signal: undefined, elsewhere: undefined });
    const why = this.#why ?? reason?.slice(0, 1000).toWellFormed();
    await this.#report({ type: 'exited', ...agentCode !== undefined && { exit_code: agentCode }, ...why !== undefined && { reason: why } });
  }

  async #report(report: WithoutKey<WithoutHost<OwnReport>>): Promise<void> {
    const { run_id, epoch } = this.wanted;
    await this.#services.report({ ...report, run_id, epoch } as WithoutHost<OwnReport>);
  }
}

type WithoutKey<T> = T extends unknown ? Omit<T, 'run_id' | 'epoch'> : never;

function drain(from: NodeJS.ReadableStream, log: AgentLog): Promise<void> {
  return new Promise((resolve) => {
    from.on('data', (chunk: Buffer) => log.write(chunk));
    from.once('error', () => resolve());
    from.once('close', () => resolve());
    from.once('end', () => resolve());
  });
}
