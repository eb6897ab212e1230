import { sql, type Transaction } from 'kysely';
import type { Event } from '../contracts/event.ts';
import { uuidv7 } from '../contracts/ids.ts';
import { recordTransaction } from './audit/record.ts';
import { changesChannel } from './database/channel.ts';
import { mayRetry, toDatabaseError } from './database/failures.ts';
import type { Tables } from './database/tables.ts';
import type { Services } from './services.ts';
import type { Signal } from './signals.ts';

export type NewEvent = Pick<Event, 'type' | 'actor' | 'facts' | 'payload'> & Partial<Pick<Event, 'session_id' | 'run_id' | 'causes' | 'policy'>>;

/** One state change: all that its commands write, in one transaction, with the events that say so as one entry of the chain. */
export interface Change {
  readonly trx: Transaction<Tables>;
  /** Milliseconds since 1970; the same for everything in it. */
  readonly at: number;
  record(event: NewEvent): void;
  /** Emitted once it is committed. */
  signal(signal: Signal): void;
}

/** Of a transaction that the database has rolled back because of another one. */
const attempts = 4;

/**
 * The only way to write: runs the commands in `work`, then records their events. Commands get only `change.trx`: with PGlite's one
 * connection, a query beside an open transaction would wait for ever. Throws `database_unavailable` where there is no database.
 */
export async function makeChange<T>(services: Services, work: (change: Change) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const signals = new Set<Signal>();
    try {
      const result = await services.database.kysely.transaction().execute(async (trx) => {
        const at = services.clock.now();
        const events: Event[] = [];
        const change: Change = {
          trx,
          at,
          record: ({ causes = [], ...event }) => { events.push({ v: 1, event_id: uuidv7(at), at, causes, ...event }); },
          signal: (signal) => { signals.add(signal); },
        };
        const value = await work(change);
        if (events.length > 0) {
          await recordTransaction(trx, { at, events, random: services.random });
          signals.add('entries');
        }
        if (services.database.shared && signals.has('runs')) await sql`select pg_notify(${changesChannel}, '')`.execute(trx);
        return value;
      });
      for (const signal of signals) services.signals.emit(signal);
      return result;
    } catch (error) {
      if (attempt === attempts || !mayRetry(error)) throw toDatabaseError(error);
    }
  }
}
