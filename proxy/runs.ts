import type { Clock, Timer } from '../contracts/clock.ts';
import { parseCidr, type Cidr } from '../contracts/addresses.ts';
import type { RunSnapshot } from '../contracts/data-plane.ts';
import { SallyportError } from '../contracts/errors.ts';
import { isTerminal } from '../contracts/run.ts';
import type { RunSpending } from './enforce/spending.ts';
import { reasonOf, Stop, type StopReason } from './enforce/stop.ts';
import { Roster } from './roster.ts';
import { outOfTime, standing, staleEpoch } from './identify/rules.ts';

/** Exchanges of one run under way at once, tunnels included: what a listener of its own allows in connections, and some that are ending. */
const exchangesAtOnce = 1_024;

/** A run as this worker knows it, with the permits that are live. */
export class LiveRun {
  readonly run_id: string;
  readonly spending: RunSpending;
  /** To whom its exchanges are recorded. */
  readonly attribution: { readonly run_id: string; readonly session_id: string };
  #snapshot: RunSnapshot;
  #tokenSha256: Buffer;
  #allowAddresses: readonly Cidr[];
  readonly #permits = new Roster<Stop>();
  #idle: (() => void) | undefined;
  #exchanges = 0;

  constructor(snapshot: RunSnapshot, spending: RunSpending) {
    this.run_id = snapshot.run_id;
    this.spending = spending;
    this.attribution = { run_id: snapshot.run_id, session_id: snapshot.session_id };
    this.#snapshot = snapshot;
    this.#tokenSha256 = Buffer.from(snapshot.token_sha256, 'hex');
    this.#allowAddresses = rangesOf(snapshot);
  }

  get snapshot(): RunSnapshot { return this.#snapshot; }
  get tokenSha256(): Buffer { return this.#tokenSha256; }
  /** Non-public ranges that this run may dial. */
  get allowAddresses(): readonly Cidr[] { return this.#allowAddresses; }

  update(snapshot: RunSnapshot): void {
    const before = this.#snapshot;
    this.#snapshot = snapshot;
    this.#tokenSha256 = Buffer.from(snapshot.token_sha256, 'hex');
    this.#allowAddresses = rangesOf(snapshot);
    this.spending.update(snapshot.epoch);
    // A deadline that has passed is told by its own timer.
    const problem = standing(snapshot, Number.NEGATIVE_INFINITY);
    if (problem !== undefined) this.stop(problem);
    else if (snapshot.epoch !== before.epoch) this.stop(staleEpoch());
    else this.rejudge();
  }

  /** An exchange of this run is under way until `leave`. Throws `rate_limited` where it would be one too many. */
  enter(): void {
    if (this.#exchanges >= exchangesAtOnce) throw new SallyportError('rate_limited', 'This run has as many requests and tunnels open as it may.');
    this.#exchanges++;
  }

  leave(): void {
    this.#exchanges--;
  }

  /** A permit begins; it is told by what is given here when it must end. */
  begin(): Stop {
    const stop = new Stop();
    this.#permits.add(stop);
    return stop;
  }

  finish(stop: Stop): void {
    this.#permits.delete(stop);
    if (this.#permits.size === 0) this.#idle?.();
  }

  /** Ends every live permit. */
  stop(why: SallyportError): void {
    const reason = reasonOf(why);
    for (const permit of this.#permits.all()) permit.stop(reason);
  }

  /** Ends the live permits that would not be given any more: policy is another one, or the run's own has changed. */
  rejudge(): void {
    for (const permit of this.#permits.all()) {
      const reason: StopReason | undefined = permit.rejudge?.();
      if (reason !== undefined) permit.stop(reason);
    }
  }

  /** Settles when no permit is live. */
  idle(): Promise<void> {
    if (this.#permits.size === 0) return Promise.resolve();
    return new Promise((resolve) => { this.#idle = resolve; });
  }
}

function rangesOf({ policy }: RunSnapshot): readonly Cidr[] {
  return policy.allow_addresses.flatMap((text) => {
    const parsed = parseCidr(text);
    // One that cannot be read allows nothing.
    return parsed.ok ? [parsed.cidr] : [];
  });
}

/** A run that is over: enough to tell its agent so. */
export interface EndedRun {
  readonly session_id: string;
  readonly tokenSha256: Buffer;
}

export interface RunsOptions {
  readonly clock: Clock;
  readonly makeSpending: (snapshot: RunSnapshot) => RunSpending;
  /** A run is live from now on. */
  readonly onLive: (run: LiveRun) => void;
  /** A run is over; its permits have been told to end. */
  readonly onEnded: (run: LiveRun) => void;
}

const endedMax = 10_000;

/** The runs of the snapshot that the control plane pushes (contracts/data-plane.ts). */
export class Runs {
  readonly #options: RunsOptions;
  readonly #live = new Map<string, LiveRun>();
  readonly #byToken = new Map<string, LiveRun>();
  readonly #ended = new Map<string, EndedRun>();
  readonly #deadlines = new Map<string, Timer>();

  constructor(options: RunsOptions) {
    this.#options = options;
  }

  get(runId: string): LiveRun | undefined {
    return this.#live.get(runId);
  }

  byToken(tokenSha256: string): LiveRun | undefined {
    return this.#byToken.get(tokenSha256);
  }

  ended(runId: string): EndedRun | undefined {
    return this.#ended.get(runId);
  }

  all(): IterableIterator<LiveRun> {
    return this.#live.values();
  }

  apply(snapshot: RunSnapshot): void {
    const known = this.#live.get(snapshot.run_id);
    if (isTerminal(snapshot.state)) {
      this.#remember(snapshot);
      if (known !== undefined) this.#end(known, snapshot);
      return;
    }
    if (known === undefined) {
      const run = new LiveRun(snapshot, this.#options.makeSpending(snapshot));
      this.#live.set(snapshot.run_id, run);
      this.#index(run);
      this.#options.onLive(run);
    } else {
      this.#byToken.delete(known.snapshot.token_sha256);
      known.update(snapshot);
      this.#index(known);
    }
  }

  /** After a full snapshot: runs that were not in it are over, whatever we missed. */
  retain(runIds: ReadonlySet<string>): void {
    for (const run of this.#live.values()) {
      if (runIds.has(run.run_id)) continue;
      const snapshot: RunSnapshot = { ...run.snapshot, state: 'Cancelled' };
      this.#remember(snapshot);
      this.#end(run, snapshot);
    }
  }

  /** Ends all live permits, as when the snapshot has expired. */
  stopAll(why: SallyportError): void {
    for (const run of this.#live.values()) run.stop(why);
  }

  /** Another policy is in force: what it would not allow ends. */
  rejudgeAll(): void {
    for (const run of this.#live.values()) run.rejudge();
  }

  #end(run: LiveRun, snapshot: RunSnapshot): void {
    this.#live.delete(run.run_id);
    this.#byToken.delete(run.snapshot.token_sha256);
    this.#deadlines.get(run.run_id)?.cancel();
    this.#deadlines.delete(run.run_id);
    run.update(snapshot);
    this.#options.onEnded(run);
  }

  #index(run: LiveRun): void {
    const { clock } = this.#options;
    this.#byToken.set(run.snapshot.token_sha256, run);
    this.#deadlines.get(run.run_id)?.cancel();
    this.#deadlines.set(run.run_id, clock.setTimeout(() => {
      // The wall clock may have been set back meanwhile; then it is not over yet.
      const problem = standing(run.snapshot, clock.now());
      if (problem === undefined) this.#index(run);
      else run.stop(outOfTime());
    }, Math.max(0, run.snapshot.deadline_at - clock.now()), { background: true }));
  }

  #remember(snapshot: RunSnapshot): void {
    this.#ended.delete(snapshot.run_id);
    this.#ended.set(snapshot.run_id, { session_id: snapshot.session_id, tokenSha256: Buffer.from(snapshot.token_sha256, 'hex') });
    if (this.#ended.size > endedMax) this.#ended.delete(this.#ended.keys().next().value!);
  }
}
