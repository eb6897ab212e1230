import test, { type TestFn } from 'ava';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { systemClock, type Clock } from '../../contracts/clock.ts';
import { createRunSchema, type CreateRun } from '../../contracts/run-api.ts';
import { tokenSha256, type Principal } from '../../control-plane/access/rules.ts';
import { ensureTree } from '../../control-plane/audit/commands.ts';
import { openDatabase, type Database, type DatabaseLocation } from '../../control-plane/database/open.ts';
import { makeTemplate } from '../../control-plane/database/make-template.ts';
import { Streams } from '../../control-plane/http/streams.ts';
import { createRun, type Creation } from '../../control-plane/runs/create.ts';
import type { Services } from '../../control-plane/services.ts';
import { Signals } from '../../control-plane/signals.ts';
import type { Lifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';
import { freshDatabase } from '../helpers/postgres.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

export interface Backend {
  readonly name: 'PGlite' | 'Postgres';
  /** Skips where the machine lacks it. One test after the other: each PGlite takes 200 MB, and the thread while it starts. */
  readonly test: TestFn['serial'];
  /** A new, migrated database of the lifetime's own. */
  locate(lifetime: Lifetime): Promise<DatabaseLocation>;
}

/** What a store does it has to do on both. */
export const backends: readonly Backend[] = [
  {
    name: 'PGlite',
    test: test.serial,
    locate: async (lifetime) => {
      await makeTemplate();
      return { folder: join(await temporaryFolder(lifetime), 'postgres') };
    },
  },
  {
    name: 'Postgres',
    test: needs('postgres').serial,
    locate: async (lifetime) => {
      const { url } = await freshDatabase(lifetime, 'control-plane', async (url) => {
        await (await openDatabase({ url, folder: '/nowhere' }, systemClock)).close();
      });
      return { url, folder: '/nowhere' };
    },
  },
];

/** Opens it for as long as the lifetime. */
export async function openFor(lifetime: Lifetime, location: DatabaseLocation): Promise<Database> {
  const database = await openDatabase(location, systemClock);
  lifetime.teardown(() => database.close());
  return database;
}

/** What commands work with, on an open database that has a chain. */
export async function servicesFor(lifetime: Lifetime, location: DatabaseLocation, clock: Clock = systemClock): Promise<Services> {
  const services: Services = {
    database: await openFor(lifetime, location),
    clock,
    random: randomBytes,
    signals: new Signals(),
    streams: new Streams(),
    onFault: (error) => { throw error; },
    proxyTokenSha256: tokenSha256('sp_px_none'),
  };
  await ensureTree(services);
  return services;
}

/** A run that may draw. */
export async function newRun(services: Services, input: Partial<CreateRun> = {}): Promise<Creation> {
  const principal: Principal = { kind: 'operator', id: 'local', local: true };
  return await createRun(services, { input: createRunSchema.parse({ goal: 'test', ...input }), principal, correlation_id: 'test' });
}
