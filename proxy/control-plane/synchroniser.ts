import type { Clock, Timer } from '../../contracts/clock.ts';
import { snapshotMaxAgeMs, type Acknowledgement, type StreamMessage } from '../../contracts/data-plane.ts';
import { SallyportError, toSallyportError } from '../../contracts/errors.ts';
import type { Runs } from '../runs.ts';
import { signals } from '../signals.ts';

export interface SynchroniserOptions {
  readonly clock: Clock;
  readonly proxy_id: string;
  readonly runs: Runs;
  /** Puts a revision in force; settles when it is, or can't be. */
  readonly loadPolicy: (revision: string) => Promise<void>;
  /** The revision in force; empty when there is none. */
  readonly revision: () => string;
  readonly acknowledge: (acknowledgement: Acknowledgement) => Promise<unknown>;
  readonly sealed: (journalId: string, through: number) => Promise<void>;
  /** The control plane can be spoken to again. */
  readonly reconnected: () => void;
  /** The database is another one than before: what was drawn from the old one is void. */
  readonly reincarnated: () => void;
}

const acknowledgeRetryMs = 250;

/** Keeps this worker in step with the control plane: applies its messages in order, and says when they are in effect. */
export class Synchroniser {
  readonly #options: SynchroniserOptions;
  #heardAt: number | undefined;
  /** Whether all runs have been named once. */
  #synced = false;
  #maxAgeMs = snapshotMaxAgeMs;
  #incarnation: string | undefined;
  /** Runs named since `hello`; undefined outside a full snapshot. */
  #named: Set<string> | undefined;
  #version = 0;
  #acknowledged = -1;
  /** What must be in effect before the present version may be acknowledged. */
  #pending: Promise<unknown>[] = [];
  #acknowledging = false;
  #expiry: Timer | undefined;
  #ended = false;
  readonly #first = Promise.withResolvers<void>();

  constructor(options: SynchroniserOptions) {
    this.#options = options;
  }

  /** Settles when the first full snapshot is in effect. */
  get ready(): Promise<void> { return this.#first.promise; }

  /** Why nothing may be decided: nothing was heard for too long, or not everything yet. */
  expired(): SallyportError | undefined {
    if (this.#heardAt === undefined || !this.#synced) return new SallyportError('snapshot_expired', 'The proxy has not heard from its control plane yet.');
    const silence = this.#options.clock.monotonic() - this.#heardAt;
    if (silence <= this.#maxAgeMs) return undefined;
    return new SallyportError('snapshot_expired', `The proxy has not heard from its control plane for ${Math.round(silence / 1000)} s.`);
  }

  /** Something that has to be in effect before what was heard so far is acknowledged. */
  awaits(work: Promise<unknown>): void {
    this.#pending.push(work);
  }

  handle(message: StreamMessage): void {
    const { runs, clock } = this.#options;
    // Of what is being told anew some is still as it was, perhaps long ago: it is not fresh before it has all been told.
    if (message.type === 'synced' || (message.type !== 'hello' && this.#named === undefined)) this.#heardAt = clock.monotonic();
    switch (message.type) {
      case 'hello':
        this.#maxAgeMs = message.snapshot_max_age_ms;
        this.#expiry?.cancel();
        this.#expiry = undefined;
        this.#watch();
        this.#named = new Set();
        this.#acknowledged = -1;
        if (this.#incarnation !== undefined && this.#incarnation !== message.incarnation) this.#options.reincarnated();
        this.#incarnation = message.incarnation;
        this.#load(message.revision);
        break;
      case 'run':
        this.#named?.add(message.run.run_id);
        runs.apply(message.run);
        this.#reached(message.version);
        break;
      case 'synced':
        if (this.#named !== undefined) runs.retain(this.#named);
        this.#named = undefined;
        this.#synced = true;
        this.#version = message.version;
        this.#options.reconnected();
        signals.stream.publish({ problem: undefined });
        this.#acknowledge();
        break;
      case 'bundle':
        this.#load(message.revision);
        this.#reached(message.version);
        break;
      case 'sealed':
        this.#options.sealed(message.journal_id, message.through).catch((error: unknown) => signals.fault.publish({ where: 'sealed segments', error: toSallyportError(error) }));
        break;
      case 'recall':
        runs.get(message.run_id)?.spending.recall(message.recalls);
        break;
      case 'heartbeat':
        break;
    }
  }

  end(): void {
    this.#ended = true;
    this.#expiry?.cancel();
  }

  #load(revision: string): void {
    if (revision !== '' && revision !== this.#options.revision()) this.awaits(this.#options.loadPolicy(revision));
  }

  #reached(version: number): void {
    this.#version = Math.max(this.#version, version);
    // Within a full snapshot `synced` says when it is whole.
    if (this.#named === undefined) this.#acknowledge();
  }

  #acknowledge(): void {
    if (this.#acknowledging || this.#ended) return;
    this.#acknowledging = true;
    void this.#acknowledgeAll().finally(() => { this.#acknowledging = false; });
  }

  async #acknowledgeAll(): Promise<void> {
    const { acknowledge, proxy_id, revision, clock } = this.#options;
    while (!this.#ended && (this.#acknowledged < this.#version || this.#pending.length > 0)) {
      const version = this.#version;
      await Promise.allSettled(this.#pending.splice(0));
      // Another version may have come meanwhile, with something of its own to wait for.
      if (this.#pending.length > 0) continue;
      this.#first.resolve();
      try {
        await acknowledge({ proxy_id, version, revision: revision() });
        this.#acknowledged = version;
      } catch {
        if (this.#ended) return;
        await new Promise<void>((resolve) => { clock.setTimeout(resolve, acknowledgeRetryMs, { background: true }); });
      }
    }
  }

  /** Ends what is open once the snapshot is too old; one timer that is moved on only when it fires. */
  #watch(): void {
    const now = this.#options.clock.monotonic();
    const due = (this.#heardAt ?? now) + this.#maxAgeMs - now + 1;
    this.#expiry = this.#options.clock.setTimeout(() => {
      this.#expiry = undefined;
      const problem = this.expired();
      if (problem !== undefined) this.#options.runs.stopAll(problem);
      this.#watch();
    }, due > 0 ? due : this.#maxAgeMs, { background: true });
  }
}
