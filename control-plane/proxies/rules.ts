import { dataPlaneVersion, snapshotMaxAgeMs, type StreamMessage } from '../../contracts/data-plane.ts';
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
