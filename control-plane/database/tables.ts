import type { ColumnType, Generated, JSONColumnType } from 'kysely';
import type { AgentCommand } from '../../contracts/agents.ts';
import type { Amounts, Meter, SpendableMeter } from '../../contracts/budget.ts';
import type { DrawAnswer } from '../../contracts/data-plane.ts';
import type { Channel, RunState } from '../../contracts/run.ts';
import type { RunPolicy } from '../../contracts/run-policy.ts';

/** Written as text made by `toJson`, read as what it means. */
type Json<T extends object> = JSONColumnType<T, string, string>;
/** Numbered by the database. */
type Identity = ColumnType<number, never, never>;

/*
 * The rows as the migrations make them. Ids are text, instants and units int8 (milliseconds since 1970), digests hex text,
 * the text of events as it is hashed: `jsonb` refuses U+0000, which a recorded request may hold.
 * Each table is its slice's own: only that slice's store names it.
 */

export interface SessionsTable {
  session_id: string;
  created_at: number;
}

export interface RunsTable {
  run_id: string;
  session_id: string;
  short_id: string;
  goal: string;
  agent: string;
  channel: Channel;
  state: RunState;
  reason: string | null;
  epoch: number;
  token_sha256: string;
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
  /** Wall clock or the absolute deadline, whichever comes first. */
  deadline_at: number;
  absolute_deadline_at: number;
  lease_expires_at: number;
  exit_code: number | null;
  policy: Json<RunPolicy>;
  labels: Json<Record<string, string>>;
  limits: Json<Amounts>;
  version: number;
}

/** What a jail host starts for a run; runs that have none are started by others. */
export interface AgentsTable {
  run_id: string;
  epoch: number;
  command: Json<AgentCommand>;
  status: 'waiting' | 'wanted' | 'running' | 'exited';
  host_id: string | null;
  exit_code: number | null;
}

export interface IdempotencyKeysTable {
  key_sha256: string;
  request_sha256: string;
  answer: string;
  created_at: number;
}

export interface BalancesTable {
  run_id: string;
  meter: Meter;
  limit_units: number | null;
  used: Generated<number>;
  reserved: Generated<number>;
  /** Number, instant and `drawn` of all journals together at the last recall. */
  recall: Generated<number>;
  recalled_at: Generated<number>;
  recalled_drawn: Generated<number>;
}

export interface LedgerTable {
  ledger_id: Identity;
  at: number;
  kind: 'reserve' | 'settle' | 'release' | 'grant';
  run_id: string;
  meter: Meter;
  units: number;
  journal_id: string | null;
  /** What moved it: a draw, a segment `<sequence>`, the run's creation. */
  reference: string;
}

export interface DrawsTable {
  draw_id: string;
  journal_id: string;
  run_id: string;
  at: number;
  answer: Json<DrawAnswer>;
}

export interface AllowancesTable {
  journal_id: string;
  run_id: string;
  meter: SpendableMeter;
  drawn: number;
  settled: Generated<number>;
  returned: Generated<number>;
  /** The last recall that was asked of this journal, when, and the last that it has answered. */
  recall: Generated<number>;
  recalled_at: Generated<number>;
  answered: Generated<number>;
}

export interface BundlesTable {
  revision: string;
  body: Buffer;
  created_at: number;
}

/** One row: what every proxy must know, numbered. Its lock makes the order of versions the order of commits. */
export interface DataPlaneStateTable {
  singleton: boolean;
  version: number;
  revision: string | null;
  revision_version: number;
}

export interface EntriesTable {
  arrival: Identity;
  entry_id: string;
  kind: 'transaction' | 'segment';
  position: number | null;
  leaf: string;
  /** As exported: see contracts/export.ts. One of the two: a segment's is packed (audit/packed-body.ts). */
  body: string | null;
  packed: Buffer | null;
  events: number;
  recorded_at: number;
  journal_id: string | null;
  sequence: number | null;
  /** The segment's own, of its bytes. */
  digest: string | null;
}

export interface EventsTable {
  event_id: string;
  type: string;
  at: number;
  run_id: string | null;
  /** Where its text is: line `line` (from 0) of that entry's body. Rows of before 0003 have `body` instead. */
  entry_id: string;
  line: number | null;
  body: string | null;
  egress_id: string | null;
  completion_id: string | null;
  completion_type: string | null;
  /** Null where it is the same entry. */
  completion_entry_id: string | null;
  completion_line: number | null;
  completion_body: string | null;
}

export interface RunActivityTable {
  run_id: string;
  allowed: number;
  denied: number;
}

export interface JournalsTable {
  journal_id: string;
  next_sequence: number;
  last_digest: string;
  closed: Generated<boolean>;
  updated_at: number;
  sealed_through: Generated<number>;
  /** Size of the tree of the seal that moved `sealed_through` last. */
  sealed_at_size: Generated<number>;
}

export interface TreeStateTable {
  singleton: boolean;
  incarnation: string;
  size: number;
  frontier: Json<string[]>;
}

export interface SealsTable {
  seal_id: Identity;
  size: number;
  root: string;
  incarnation: string;
  at: number;
  note: string;
}

export interface KeysTable {
  key_id: string;
  kind: 'operator';
  sha256: string;
  role: 'admin';
  created_at: number;
  revoked_at: number | null;
}

export interface ProxiesTable {
  proxy_id: string;
  connection_id: string;
  connected_at: number;
  connected_until: number;
  acknowledged_version: number;
  revision: string;
  /** What its present worker draws for. */
  journal_id: string | null;
}

export interface MigrationsTable {
  name: string;
  applied_at: number;
}

export interface Tables {
  sessions: SessionsTable;
  runs: RunsTable;
  agents: AgentsTable;
  idempotency_keys: IdempotencyKeysTable;
  balances: BalancesTable;
  ledger: LedgerTable;
  draws: DrawsTable;
  allowances: AllowancesTable;
  bundles: BundlesTable;
  data_plane_state: DataPlaneStateTable;
  entries: EntriesTable;
  events: EventsTable;
  run_activity: RunActivityTable;
  journals: JournalsTable;
  tree_state: TreeStateTable;
  seals: SealsTable;
  keys: KeysTable;
  proxies: ProxiesTable;
  migrations: MigrationsTable;
}
