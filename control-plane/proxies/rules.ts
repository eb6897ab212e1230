import type { SpendableMeter } from '../../contracts/budget.ts';
import { dataPlaneVersion, snapshotMaxAgeMs, type Recalls, type StreamMessage } from '../../contracts/data-plane.ts';
import type { Versioned } from '../runs/commands.ts';

/** A line of the stream, as NDJSON has it. */
export function line(message: StreamMessage): string {
  return `${JSON.stringify(message)}\n`;
}

export interface Snapshot {
  readonly incarnation: string;
  readonly revision: string;
  readonly runs: readonly Versioned[];
  /** Everything up to it is in the snapshot. */
  readonly version: number;
  readonly sealed: readonly SealedJournal[];
}

export interface SealedJournal {
  readonly journal_id: string;
  readonly through: number;
}

/** What a proxy is told first: all that is live, then that this was all. */
export function snapshotLines({ incarnation, revision, runs, version, sealed }: Snapshot): string {
  return [
    line({ type: 'hello', protocol: dataPlaneVersion, incarnation, snapshot_max_age_ms: snapshotMaxAgeMs, revision }),
    ...runs.map((run) => line({ type: 'run', ...run })),
    line({ type: 'synced', version }),
    ...sealed.map((journal) => line({ type: 'sealed', ...journal })),
  ].join('');
}

/** A recall that a worker has not answered yet. */
interface Asked {
  readonly run_id: string;
  readonly meter: SpendableMeter;
  readonly recall: number;
}

/** One line for each run; those that were told before are left out. */
export function recallLines(asked: readonly Asked[], told: ReadonlySet<string>): string {
  const runs = new Map<string, Recalls>();
  for (const one of asked) {
    if (!told.has(keyOf(one))) runs.set(one.run_id, { ...runs.get(one.run_id), [one.meter]: one.recall });
  }
  return [...runs].map(([run_id, recalls]) => line({ type: 'recall', run_id, recalls })).join('');
}

/** Names one recall among those of a worker. */
export function keyOf({ run_id, meter, recall }: Asked): string {
  return `${run_id} ${meter} ${recall}`;
}
