import type { Migration } from '../migrate.ts';

/**
 * What an event says is kept once, in its entry; a segment's body is packed. Rows of `events` from before have their texts
 * (`body`, `completion_body`), later ones the number of their line in the entry.
 */
export const leanEvents: Migration = { name: '0003-lean-events', statements: [
  `alter table entries
    add column packed bytea,
    alter column packed set storage external,
    alter column body drop not null,
    add check (num_nonnulls(body, packed) = 1)`,
  `alter table events
    add column line int4,
    add column completion_line int4,
    alter column body drop not null,
    add check (num_nonnulls(body, line) = 1),
    add check (completion_id is null or num_nonnulls(completion_body, completion_line) = 1)`,
  // Each index that a row of an exchange enters costs a tenth of its ingest.
  `drop index events_by_type`,
  `create index events_by_type on events (type, event_id) where egress_id is null`,
  `drop index events_by_egress`,
  `create unique index events_open on events (egress_id) where completion_id is null`,
] };
