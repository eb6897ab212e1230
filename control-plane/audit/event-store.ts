import { sql, type Kysely, type Transaction } from 'kysely';
import { toJson } from '../database/codec.ts';
import type { Tables } from '../database/tables.ts';
import type { EventRow, Completion, Activity } from './projection.ts';

type Trx = Transaction<Tables>;

/** What a row brings, and its type; `entry_id` is the same for all. */
const columns = [
  ['event_id', 'text'], ['type', 'text'], ['at', 'int8'], ['run_id', 'text'], ['line', 'int4'], ['egress_id', 'text'], ['completion_id', 'text'], ['completion_type', 'text'], ['completion_line', 'int4'],
] as const satisfies readonly (readonly [keyof EventRow, string])[];
const names = sql.raw(columns.map(([name]) => name).join(', '));
const typed = sql.raw(columns.map(([name, type]) => `${name}::${type}`).join(', '));

/**
 * An id that was there before is passed over: what counts is in the entries, exactly once by (journal_id, sequence). Each column is one
 * text, in lines, of which no id or number has any: reading JSON takes a database a fifth longer.
 */
export async function insertEvents(trx: Trx, entry_id: string, rows: readonly EventRow[]): Promise<void> {
  if (rows.length === 0) return;
  const lists = columns.map(([name]) => sql`string_to_array(${rows.map((row) => row[name] ?? '').join('\n')}, e'\\n', '')`);
  await sql`
    insert into events (entry_id, ${names})
    select ${entry_id}, ${typed} from unnest(${sql.join(lists)}) as r(${names})
    on conflict do nothing`.execute(trx);
}

/** Joins completions to exchanges of earlier segments. Gives the egress ids that it found. */
export async function completeEvents(trx: Trx, entry_id: string, completions: readonly Completion[]): Promise<ReadonlySet<string>> {
  if (completions.length === 0) return new Set();
  const rows = toJson(completions.map(({ event: _event, ...completion }) => completion));
  const { rows: found } = await sql<{ egress_id: string }>`
    update events e set completion_id = c.event_id, completion_type = c.type, completion_entry_id = ${entry_id}, completion_line = c.line
    from json_to_recordset(${rows}::json) as c(event_id text, type text, egress_id text, line int4)
    where e.egress_id = c.egress_id and e.completion_id is null
    returning e.egress_id`.execute(trx);
  return new Set(found.map(({ egress_id }) => egress_id));
}

export async function addActivity(trx: Trx, rows: readonly Activity[]): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    insert into run_activity (run_id, allowed, denied)
    select run_id, allowed, denied from jsonb_to_recordset(${toJson(rows)}::jsonb) as r(run_id text, allowed int8, denied int8) order by run_id
    on conflict (run_id) do update set allowed = run_activity.allowed + excluded.allowed, denied = run_activity.denied + excluded.denied`.execute(trx);
}

export async function selectActivity(database: Kysely<Tables>, run_id: string): Promise<{ readonly allowed: number; readonly denied: number }> {
  const row = await database.selectFrom('run_activity').select(['allowed', 'denied']).where('run_id', '=', run_id).executeTakeFirst();
  return row ?? { allowed: 0, denied: 0 };
}

export async function countEvents(database: Kysely<Tables>, run_id: string, type: string): Promise<number> {
  const { count } = await database.selectFrom('events').select((eb) => eb.fn.countAll<number>().as('count'))
    .where('run_id', '=', run_id).where('type', '=', type).executeTakeFirstOrThrow();
  return count;
}

export interface EventFilter {
  readonly run_id?: string | undefined;
  /** Of the event or of its completion. */
  readonly type?: string | undefined;
  /** Events older than this one. */
  readonly before?: string | undefined;
  readonly limit: number;
}

/** Where an event and its completion stand: each in a line of an entry (the same where the completion names none), or (from before) here. */
export interface StoredEvent {
  readonly position: number | null;
  readonly entry_id: string;
  readonly line: number | null;
  readonly body: string | null;
  readonly completion_entry_id: string | null;
  readonly completion_line: number | null;
  readonly completion_body: string | null;
}

/** Newest first. */
export async function selectEvents(database: Kysely<Tables>, filter: EventFilter): Promise<readonly StoredEvent[]> {
  let query = database.selectFrom('events').innerJoin('entries', 'entries.entry_id', 'events.entry_id')
    .select(['entries.position', 'events.entry_id', 'events.line', 'events.body', 'events.completion_entry_id', 'events.completion_line', 'events.completion_body']);
  const { run_id, type, before } = filter;
  if (run_id !== undefined) query = query.where('events.run_id', '=', run_id);
  if (type !== undefined) query = query.where((eb) => eb.or([eb('events.type', '=', type), eb('events.completion_type', '=', type)]));
  if (before !== undefined) query = query.where('events.event_id', '<', before);
  return await query.orderBy('events.event_id', 'desc').limit(filter.limit).execute();
}
