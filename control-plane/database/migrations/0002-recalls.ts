import type { Migration } from '../migrate.ts';

export const recalls: Migration = { name: '0002-recalls', statements: [
  `alter table balances
    add column recall int8 not null default 0,
    add column recalled_at int8 not null default 0,
    add column recalled_drawn int8 not null default 0`,
  `alter table allowances
    add column recall int8 not null default 0,
    add column recalled_at int8 not null default 0,
    add column answered int8 not null default 0`,
  // Each change of anything makes every replica look for recalls that are open; there are few.
  `create index allowances_recalled on allowances (journal_id) where recall > answered`,
  `alter table proxies add column journal_id text`,
] };
