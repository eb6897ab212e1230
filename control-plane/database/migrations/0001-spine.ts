import type { Migration } from '../migrate.ts';

const runs = [
  `create table sessions (
    session_id text primary key,
    created_at int8 not null
  )`,
  `create table runs (
    run_id text primary key,
    session_id text not null references sessions,
    short_id text not null unique,
    goal text not null,
    agent text not null,
    channel text not null,
    state text not null,
    reason text,
    epoch int8 not null,
    token_sha256 text not null unique,
    created_at int8 not null,
    started_at int8,
    ended_at int8,
    deadline_at int8 not null,
    absolute_deadline_at int8 not null,
    lease_expires_at int8 not null,
    exit_code int4,
    policy jsonb not null,
    labels jsonb not null,
    limits jsonb not null,
    version int8 not null
  )`,
  `create unique index runs_one_active on runs (session_id) where state = 'Active'`,
  `create index runs_by_session on runs (session_id, run_id)`,
  `create index runs_by_version on runs (version)`,
  `create index runs_live on runs (deadline_at) where state not in ('Done', 'Failed', 'Cancelled')`,
  `create table agents (
    run_id text primary key references runs,
    epoch int8 not null,
    command jsonb not null,
    status text not null,
    host_id text,
    exit_code int4
  )`,
  `create index agents_live on agents (run_id) where status in ('wanted', 'running')`,
  `create table idempotency_keys (
    key_sha256 text primary key,
    request_sha256 text not null,
    answer text not null,
    created_at int8 not null
  )`,
  `create index idempotency_keys_by_age on idempotency_keys (created_at)`,
];

const budgets = [
  // No check of used + reserved against the limit: a reservation tests it in its own statement, and what a proxy says it has spent is
  // recorded even where it was never drawn.
  `create table balances (
    run_id text not null references runs,
    meter text not null,
    limit_units int8 check (limit_units >= 0),
    used int8 not null default 0 check (used >= 0),
    reserved int8 not null default 0 check (reserved >= 0),
    primary key (run_id, meter)
  )`,
  `create table ledger (
    ledger_id int8 generated always as identity primary key,
    at int8 not null,
    kind text not null,
    run_id text not null,
    meter text not null,
    units int8 not null,
    journal_id text,
    reference text not null
  )`,
  `create index ledger_by_run on ledger (run_id, meter)`,
  `create table draws (
    draw_id text primary key,
    journal_id text not null,
    run_id text not null,
    at int8 not null,
    answer jsonb not null
  )`,
  `create index draws_by_age on draws (at)`,
  `create table allowances (
    journal_id text not null,
    run_id text not null,
    meter text not null,
    drawn int8 not null,
    settled int8 not null default 0,
    returned int8 not null default 0,
    primary key (journal_id, run_id, meter),
    check (settled + returned <= drawn)
  )`,
  `create index allowances_by_run on allowances (run_id)`,
];

const chain = [
  `create table entries (
    arrival int8 generated always as identity primary key,
    entry_id text not null unique,
    kind text not null,
    position int8 unique,
    leaf text not null,
    body text not null,
    events int4 not null,
    recorded_at int8 not null,
    journal_id text,
    sequence int8,
    digest text,
    unique (journal_id, sequence)
  )`,
  `create index entries_to_number on entries (arrival) where position is null`,
  `create table events (
    event_id text primary key,
    type text not null,
    at int8 not null,
    run_id text,
    entry_id text not null,
    body text not null,
    egress_id text,
    completion_id text,
    completion_type text,
    completion_entry_id text,
    completion_body text
  )`,
  `create index events_by_run on events (run_id, event_id)`,
  `create index events_by_type on events (type, event_id)`,
  `create unique index events_by_egress on events (egress_id)`,
  `create table run_activity (
    run_id text primary key,
    allowed int8 not null,
    denied int8 not null
  )`,
  `create table journals (
    journal_id text primary key,
    next_sequence int8 not null,
    last_digest text not null,
    closed boolean not null default false,
    updated_at int8 not null,
    sealed_through int8 not null default -1,
    sealed_at_size int8 not null default 0
  )`,
  `create index journals_by_seal on journals (sealed_at_size)`,
  `create table tree_state (
    singleton boolean primary key default true check (singleton),
    incarnation text not null,
    size int8 not null,
    frontier jsonb not null
  )`,
  `create table seals (
    seal_id int8 generated always as identity primary key,
    size int8 not null,
    root text not null,
    incarnation text not null,
    at int8 not null,
    note text not null
  )`,
  `create index seals_by_size on seals (size, seal_id)`,
];

const planes = [
  `create table bundles (
    revision text primary key,
    body bytea not null,
    created_at int8 not null
  )`,
  `create table data_plane_state (
    singleton boolean primary key default true check (singleton),
    version int8 not null,
    revision text,
    revision_version int8 not null
  )`,
  `insert into data_plane_state (version, revision_version) values (0, 0)`,
  `create table proxies (
    proxy_id text primary key,
    connection_id text not null,
    connected_at int8 not null,
    connected_until int8 not null,
    acknowledged_version int8 not null,
    revision text not null
  )`,
  `create table keys (
    key_id text primary key,
    kind text not null,
    sha256 text not null unique,
    role text not null,
    created_at int8 not null,
    revoked_at int8
  )`,
];

export const spine: Migration = { name: '0001-spine', statements: [...runs, ...budgets, ...chain, ...planes] };
