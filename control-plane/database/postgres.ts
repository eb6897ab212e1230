import { Client, escapeIdentifier, Pool, types } from 'pg';
import { PostgresDialect } from 'kysely';
import type { Dialect } from 'kysely';
import { parsers } from './codec.ts';

/** Connections of one replica. Requests beyond them wait in the pool, whose queue is bounded by the HTTP edge's cap. */
const maxConnections = 10;
const connectMs = 10_000;
/** A statement or an open transaction that takes longer is a fault; without the bound it would hold row locks for ever. */
const statementMs = 30_000;

export interface Listening {
  stop(): Promise<void>;
}

export interface PostgresDatabase {
  readonly dialect: Dialect;
  /** Calls `heard` on each NOTIFY of the channel: a hint, lost while the connection is away. `lost` says that it is. */
  listen(channel: string, heard: () => void, lost: () => void): Promise<Listening>;
}

/** The only place where `pg` enters. `url` as in DATABASE_URL; nothing is connected yet. */
export function postgresDatabase(url: string): PostgresDatabase {
  const connection = {
    connectionString: url,
    application_name: 'sallyport',
    connectionTimeoutMillis: connectMs,
    types: { getTypeParser: (oid: number) => parsers[oid] ?? types.getTypeParser(oid) },
  };
  return {
    dialect: new PostgresDialect({
      pool: async () => {
        const pool = new Pool({
          ...connection,
          max: maxConnections,
          statement_timeout: statementMs,
          idle_in_transaction_session_timeout: statementMs,
        });
        // One that breaks is replaced by the pool. Without listeners it would end the process: an idle one by the pool's event, one that
        // is taken but between two statements of a transaction by its own.
        pool.on('error', () => { /* The next query says what is wrong. */ });
        pool.on('connect', (client) => { client.on('error', () => { /* As above. */ }); });
        return await Promise.resolve(pool);
      },
    }),
    async listen(channel, heard, lost) {
      const client = new Client(connection);
      client.on('notification', heard);
      client.on('error', lost);
      client.on('end', lost);
      await client.connect();
      await client.query(`listen ${escapeIdentifier(channel)}`);
      return { stop: () => client.end() };
    },
  };
}
