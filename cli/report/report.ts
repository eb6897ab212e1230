import type { ChainHead, RunView } from '../../contracts/run-api.ts';
import { egressRow, type EgressRow, type Exchange } from './egress.ts';

/** What a run ends with. `--report` writes `document(...)`; the terminal shows `reportLines(...)`. */
export interface RunReport {
  readonly run: RunView;
  /** What the command ends with; `null` for a run that is looked at from elsewhere and has none. */
  readonly exitCode: number | null;
  /** Oldest first. */
  readonly exchanges: readonly Exchange[];
  /** More exchanges than were read. */
  readonly truncated: boolean;
  readonly chain: ChainHead | undefined;
  /** All events of the run are in the chain. */
  readonly settled: boolean;
  /** What the jail found and thinks worth saying. */
  readonly notes: readonly string[];
}

export interface ReportDocument {
  readonly v: 1;
  readonly run_id: string;
  readonly state: string;
  readonly reason: string | null;
  readonly exit_code: number | null;
  readonly started_at: number | null;
  readonly ended_at: number | null;
  readonly budget: Readonly<Record<string, { readonly limit: number | null; readonly used: number }>>;
  readonly egress: readonly EgressRow[];
  readonly egress_truncated: boolean;
  readonly chain: { readonly size: number; readonly root: string } | null;
  readonly settled: boolean;
  readonly notes: readonly string[];
}

/** The shape that api.md names, and beside it what a program must know to trust it. */
export function reportDocument({ run, exitCode, exchanges, truncated, chain, settled, notes }: RunReport): ReportDocument {
  return {
    v: 1,
    run_id: run.run_id,
    state: run.state,
    reason: run.reason,
    exit_code: exitCode,
    started_at: run.started_at,
    ended_at: run.ended_at,
    budget: Object.fromEntries(Object.entries(run.budget).map(([meter, { limit, used }]) => [meter, { limit, used }])),
    egress: exchanges.map((exchange) => egressRow(exchange)),
    egress_truncated: truncated,
    chain: chain === undefined ? null : { size: chain.size, root: chain.root },
    settled,
    notes,
  };
}
