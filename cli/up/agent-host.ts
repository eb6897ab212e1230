import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { hostHeartbeatMs, mostAgents, mostPresent } from '../../contracts/agent-limits.ts';
import type { AgentMessage, AgentReport, WantedAgent } from '../../contracts/agents.ts';
import type { Clock } from '../../contracts/clock.ts';
import { LineSplitter } from '../../contracts/lines.ts';
import { formatPresent } from '../../contracts/present-agents.ts';
import { dataPlaneApi, type ApiClient } from '../api-client.ts';
import { apiSocket, hostIdFile } from '../data-folder-paths.ts';
import { persist } from '../run/persist.ts';
import { HostedAgent } from './hosted-agent.ts';
import { openLink, type Link } from './link-client.ts';

/** By the supervisor's first message. */
export interface HostConfiguration {
  readonly data_folder: string;
  readonly data_plane_token: string;
}

/** The control plane says something every 5 s. Milliseconds. */
const silence = 20_000;
const firstPause = 50;
const longestPause = 1000;
/** A line holds one command: what the API takes as a body, written as JSON again. */
const longestLine = 4 * 1024 * 1024;
/** For agents to be killed and their ends to be told, when this process is to end; the supervisor kills it after 10 s. */
const stopWithin = 5000;

/**
 * Starts and ends the agents that the control plane names, and tells it what became of them. It decides nothing about runs. The control
 * plane may go and come back: agents go on, and what happened meanwhile is told then. Agents die with this process.
 */
export class AgentHost {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #api: ApiClient;
  readonly #hostId: string;
  readonly #say: (text: string) => void;
  /** By run and epoch; each leaves once its end has been told. */
  readonly #agents = new Map<string, HostedAgent>();
  readonly #over = new AbortController();
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  #hold: Promise<Link | undefined> | undefined;
  #giveUp = Infinity;

  constructor({ data_folder, data_plane_token }: HostConfiguration, clock: Clock, say: (text: string) => void) {
    this.#folder = data_folder;
    this.#clock = clock;
    this.#api = dataPlaneApi(apiSocket(data_folder), data_plane_token);
    this.#hostId = ownId(hostIdFile(data_folder));
    this.#say = say;
  }

  start(): void {
    void this.#follow();
    void this.#renew();
  }

  /** Kills what it has, tells so, and gives up after a while. */
  async stop(): Promise<void> {
    this.#giveUp = this.#clock.monotonic() + stopWithin;
    this.#over.abort();
    const all = [...this.#agents.values()];
    for (const agent of all) agent.end('sallyport up has ended');
    for (const go of this.#waiting.splice(0)) go();
    const late = Promise.withResolvers<void>();
    const timer = this.#clock.setTimeout(late.resolve, stopWithin);
    await Promise.race([Promise.all(all.map(({ done }) => done)), late.promise]);
    timer.cancel();
  }

  async #follow(): Promise<void> {
    let pause = firstPause;
    while (!this.#over.signal.aborted) {
      try {
        const present = formatPresent([...this.#agents.values()].map(({ wanted }) => wanted));
        const query = `host_id=${this.#hostId}${present === '' ? '' : `&present=${encodeURIComponent(present)}`}`;
        const stream = await this.#api.open('GET', `/data-plane/agents?${query}`, { timeoutMs: silence, signal: this.#over.signal });
        const lines = new LineSplitter(longestLine);
        for await (const chunk of stream as AsyncIterable<Buffer>) {
          pause = firstPause;
          for (const line of lines.push(chunk)) this.#hear(JSON.parse(line) as AgentMessage);
        }
      } catch {
        // Away for a moment: the supervisor restarts it.
      }
      await this.#sleep(pause);
      pause = Math.min(pause * 2, longestPause);
    }
  }

  #hear(message: AgentMessage): void {
    if (message.type === 'stop') this.#agents.get(formatPresent([message]))?.end(undefined);
    if (message.type !== 'agent' || this.#agents.has(formatPresent([message])) || this.#over.signal.aborted) return;
    if (this.#agents.size >= mostPresent) return;
    const { run_id, epoch, short_id, command, intercept } = message;
    this.#take({ run_id, epoch, short_id, command, intercept });
  }

  #take(wanted: WantedAgent): void {
    const agent = new HostedAgent(wanted, this.#folder, {
      place: () => this.#place(),
      report: (report) => this.#report({ ...report, host_id: this.#hostId } as AgentReport),
      say: this.#say,
    });
    const key = formatPresent([wanted]);
    this.#agents.set(key, agent);
    // An idle `up` stays while somebody holds on to it.
    this.#hold ??= openLink(this.#folder);
    void agent.run().finally(() => {
      this.#agents.delete(key);
      if (this.#agents.size > 0) return;
      void this.#hold?.then((link) => link?.close());
      this.#hold = undefined;
    });
  }

  /** Settles when one more agent may run, with what gives the place back. */
  async #place(): Promise<() => void> {
    if (this.#running >= mostAgents) await new Promise<void>((resolve) => { this.#waiting.push(resolve); });
    this.#running++;
    return () => {
      this.#running--;
      this.#waiting.shift()?.();
    };
  }

  /** Until it is taken; the control plane ignores what is said twice. */
  async #report(report: AgentReport): Promise<void> {
    const up = (): boolean => this.#clock.monotonic() < this.#giveUp;
    await persist(() => this.#api.call('POST', '/data-plane/agents/reports', { body: report, timeoutMs: hostHeartbeatMs }), this.#clock, { up, patienceMs: Infinity })
      .catch((error: unknown) => { this.#say(`A report (${report.type}) was not taken: ${(error as Error).message}`); });
  }

  async #renew(): Promise<void> {
    while (!this.#over.signal.aborted) {
      const present = [...this.#agents.values()].map(({ wanted: { run_id, epoch } }) => ({ run_id, epoch }));
      const pause = await this.#api.call('POST', '/data-plane/agents/reports', {
        body: { type: 'heartbeat', host_id: this.#hostId, present } satisfies AgentReport, timeoutMs: hostHeartbeatMs, signal: this.#over.signal,
      }).then(() => hostHeartbeatMs, () => longestPause);
      await this.#sleep(pause);
    }
  }

  #sleep(milliseconds: number): Promise<void> {
    const over = this.#over.signal;
    return new Promise((resolve) => {
      if (over.aborted) return resolve();
      const timer = this.#clock.setTimeout(done, milliseconds);
      function done(): void {
        timer.cancel();
        over.removeEventListener('abort', done);
        resolve();
      }
      over.addEventListener('abort', done);
    });
  }
}

/** The same after a restart, so that what the host before it lost is known at once; the folder has one owner, so nobody shares it. */
function ownId(file: string): string {
  try {
    writeFileSync(file, `host_${randomUUID()}\n`, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return readFileSync(file, 'utf8').trim();
}
