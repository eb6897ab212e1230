import type { Kysely } from 'kysely';
import type { Tables } from '../../../control-plane/database/tables.ts';
import { append, emptyFrontier, rootOf } from '../../../contracts/merkle-tree.ts';
import { hasUnnumbered } from '../../../control-plane/audit/commands.ts';
import { ingest } from '../../../control-plane/audit/ingest.ts';
import { recordTransaction } from '../../../control-plane/audit/record.ts';
import { chainHead, sequence } from '../../../control-plane/audit/sequencer.ts';
import { within } from '../../helpers/wait.ts';
import { backends, newRun, servicesFor } from '../backends.ts';
import { denied, newEgress, TestJournal } from '../segments.ts';

async function chainOf(database: Kysely<Tables>) {
  return await database.selectFrom('entries').select(['position', 'leaf', 'journal_id', 'sequence', 'entry_id']).orderBy('position').execute();
}

for (const { name, test, locate } of backends) {
  test(`entries are numbered without gap in order of arrival, and the head is the tree of their leaves (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const journals = [new TestJournal(), new TestJournal()];
    for (let round = 0; round < 3; round++) {
      await newRun(services);
      for (const journal of journals) await ingest(services, journal.segment([denied('run_x', newEgress())]));
      // Several at once get each number once.
      await Promise.all([sequence(services), sequence(services), sequence(services)]);
    }
    t.is(await sequence(services), 0);
    const entries = await chainOf(services.database.kysely);
    t.deepEqual(entries.map(({ position }) => position), entries.map((_entry, index) => index));
    t.is(entries.length, 1 + 3 * 3);
    for (const { journal_id } of journals) {
      t.deepEqual(entries.filter((entry) => entry.journal_id === journal_id).map((entry) => entry.sequence), [0, 1, 2]);
    }
    const tree = entries.reduce((frontier, { leaf }) => append(frontier, Uint8Array.from(Buffer.from(leaf, 'hex'))), emptyFrontier);
    t.like(await chainHead(services), { size: 10, root: Buffer.from(rootOf(tree)).toString('hex') });
  });
}

const postgres = backends.find(({ name }) => name === 'Postgres')!;

postgres.test('an entry whose transaction ends late is numbered after those that came meanwhile, never passed over', async (t) => {
  const services = await servicesFor(t, await postgres.locate(t));
  await sequence(services);
  const begun = Promise.withResolvers<void>();
  const mayEnd = Promise.withResolvers<void>();
  const event = { v: 1, event_id: '01920000-0000-7000-8000-000000000001', type: 'session.created', at: 1, causes: [], actor: { kind: 'system', id: 'test' }, facts: { late: true }, payload: {} } as const;
  const late = services.database.kysely.transaction().execute(async (trx) => {
    await recordTransaction(trx, { at: 1, events: [event], random: services.random });
    begun.resolve();
    await mayEnd.promise;
  });
  await within('the late transaction to insert', begun.promise);
  const { run_id } = await newRun(services);
  t.is(await sequence(services), 1);
  mayEnd.resolve();
  await late;
  t.true(await hasUnnumbered(services.database.kysely));
  t.is(await sequence(services), 1);
  const rows = await services.database.kysely.selectFrom('events').innerJoin('entries', 'entries.entry_id', 'events.entry_id')
    .select(['events.run_id', 'events.event_id', 'entries.position', 'entries.arrival']).orderBy('entries.position', 'desc').limit(3).execute();
  t.is(rows[0]!.event_id, event.event_id);
  t.true(rows[0]!.arrival < rows.find((row) => row.run_id === run_id)!.arrival, 'it arrived first');
});
