import type { AgentKey, AgentMessage } from '../../contracts/agents.ts';
import { heartbeatMs } from '../../contracts/data-plane.ts';
import type { Context } from '../http/context.ts';
import type { Stream } from '../http/streams.ts';
import { startLoop, type Loop } from '../loop.ts';
import type { Services } from '../services.ts';
import { newsFor } from './commands.ts';
import { keyOf } from './rules.ts';

/** What may wait for a slow host; then it is cut off and connects again. A command is at most 256 KiB, a host has 128 of them. */
const maxWaitingBytes = 64 * 1024 * 1024;
/** Another replica's changes are found by looking. */
const pollMs = 1_000;

interface Attached {
  readonly host_id: string;
  readonly stream: Stream;
  /** What the host runs, and what it was told to start. */
  readonly known: Set<string>;
}

/** The jail hosts that are connected to this replica. Like the proxies' hub it hears that something changed, and reads what. */
export class AgentHub {
  readonly #services: Services;
  readonly #attached = new Map<string, Attached>();
  readonly #loops: readonly Loop[];
  /** One piece of work at a time. */
  #work: Promise<unknown> = Promise.resolve();

  constructor(services: Services) {
    this.#services = services;
    this.#loops = [
      startLoop(services, { name: 'agents', every: pollMs, on: ['runs', 'acknowledged'], round: () => this.#inOrder(() => this.#push()) }),
      startLoop(services, { name: 'agents heartbeat', every: heartbeatMs, round: async () => { this.#heartbeat(); } }),
    ];
  }

  async stop(): Promise<void> {
    await Promise.all(this.#loops.map((loop) => loop.stop()));
    await this.#work;
  }

  /** Answers with the stream. A host has one; a second means that the first is dead and hasn't been seen to be. */
  async attach(ctx: Context, host_id: string, present: readonly AgentKey[]): Promise<void> {
    await this.#inOrder(async () => {
      const known = new Set(present.map((agent) => keyOf(agent)));
      const earlier = this.#attached.get(host_id);
      this.#attached.delete(host_id);
      earlier?.stream.end();
      const news = await newsFor(this.#services, host_id, known, true);
      const attached: Attached = { host_id, known, stream: this.#services.streams.open(ctx.res, 'application/x-ndjson', maxWaitingBytes) };
      ctx.respond = false;
      this.#attached.set(host_id, attached);
      attached.stream.closed.addEventListener('abort', () => {
        if (this.#attached.get(host_id) === attached) this.#attached.delete(host_id);
      }, { once: true });
      attached.stream.write(line({ type: 'heartbeat', at: this.#services.clock.now() }));
      tell(attached, news);
    });
  }

  async #push(): Promise<void> {
    for (const attached of this.#attached.values()) tell(attached, await newsFor(this.#services, attached.host_id, attached.known, false));
  }

  #heartbeat(): void {
    const text = line({ type: 'heartbeat', at: this.#services.clock.now() });
    for (const { stream } of this.#attached.values()) stream.write(text);
  }

  async #inOrder(work: () => Promise<void>): Promise<void> {
    const mine = this.#work.then(work);
    this.#work = mine.catch(() => { /* Told to who asked for it. */ });
    await mine;
  }
}

function tell({ stream, known }: Attached, { stop, start }: Awaited<ReturnType<typeof newsFor>>): void {
  for (const key of stop) {
    const at = key.lastIndexOf(':');
    stream.write(line({ type: 'stop', run_id: key.slice(0, at), epoch: Number(key.slice(at + 1)) }));
    known.delete(key);
  }
  for (const agent of start) {
    stream.write(line({ type: 'agent', ...agent }));
    known.add(keyOf(agent));
  }
}

function line(message: AgentMessage): string {
  return `${JSON.stringify(message)}\n`;
}
