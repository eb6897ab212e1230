import { makeEntry } from '../../../contracts/entry.ts';
import type { Event } from '../../../contracts/event.ts';
import { uuidv7 } from '../../../contracts/ids.ts';
import type { RunAction } from '../../../contracts/run-api.ts';
import { activityOf, listActions } from '../../../control-plane/audit/commands.ts';
import { ingest } from '../../../control-plane/audit/ingest.ts';
import { sequence } from '../../../control-plane/audit/sequencer.ts';
import { balancesOf } from '../../../control-plane/budgets/commands.ts';
import type { Services } from '../../../control-plane/services.ts';
import { backends, newRun, servicesFor } from '../backends.ts';
import { completed, decided, denied, newEgress, TestJournal } from '../segments.ts';

const shape = (actions: readonly RunAction[]): unknown => actions.map(({ event, completion }) => [event.type, completion?.type ?? null]);

async function entriesOf(services: Services, journal_id: string): Promise<number> {
  return (await services.database.kysely.selectFrom('entries').select('sequence').where('journal_id', '=', journal_id).execute()).length;
}

for (const { name, test, locate } of backends) {
  test(`a segment counts once, however often and however simultaneously it is sent (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const { run_id } = await newRun(services);
    const journal = new TestJournal();
    const bytes = journal.segment([decided(run_id, newEgress())]);
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => ingest(services, bytes)));
    t.deepEqual(outcomes.map(({ status }) => status).sort(), ['ingested', 'known', 'known', 'known', 'known']);
    t.is((await ingest(services, bytes)).status, 'known');
    t.is(await entriesOf(services, journal.journal_id), 1);
    t.is((await balancesOf(services.database.kysely, [run_id])).get(run_id)!.requests!.used, 1);
    t.deepEqual(await activityOf(services.database.kysely, run_id), { allowed: 1, denied: 0 });
  });

  test(`a segment before its turn is a gap that names the one expected (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const journal = new TestJournal();
    const [first, second, third] = [1, 2, 3].map(() => journal.segment([denied('run_x', newEgress())]));
    t.deepEqual(await ingest(services, second!), { journal_id: journal.journal_id, sequence: 1, status: 'gap', expected: 0 });
    t.is((await ingest(services, first!)).status, 'ingested');
    t.deepEqual(await ingest(services, third!), { journal_id: journal.journal_id, sequence: 2, status: 'gap', expected: 1 });
    t.is((await ingest(services, second!)).status, 'ingested');
    t.is((await ingest(services, third!)).status, 'ingested');
  });

  test(`another segment under a number that was used, or one that does not follow, is a fork (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const [journal, twin] = [new TestJournal(), new TestJournal()];
    Object.defineProperty(twin, 'journal_id', { value: journal.journal_id });
    t.is((await ingest(services, journal.segment([denied('run_x', 'egr_a')]))).status, 'ingested');
    t.is((await ingest(services, twin.segment([denied('run_x', 'egr_b')]))).status, 'forked');
    t.is((await ingest(services, twin.segment([denied('run_x', 'egr_c')]))).status, 'forked', 'its predecessor is another than ours');
    t.is(await entriesOf(services, journal.journal_id), 1);
  });

  test(`what is no whole segment is refused and leaves nothing (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const journal = new TestJournal();
    const bytes = journal.segment([denied('run_x', newEgress())]);
    const lines = bytes.toString().split('\n');
    const table: readonly [string, string][] = [
      ['cut', bytes.toString().slice(0, -10)],
      ['unclosed', `${lines.slice(0, 2).join('\n')}\n`],
      ['changed', bytes.toString().replace('policy_denied', 'policy_allowed')],
      ['empty', ''],
      ['text', 'hello\n'],
    ];
    for (const [what, text] of table) await t.throwsAsync(ingest(services, Buffer.from(text)), { code: 'invalid_request' }, what);
    t.is(await entriesOf(services, journal.journal_id), 0);
    t.is((await ingest(services, bytes)).status, 'ingested');
  });

  test(`an exchange is one row with its completion, whichever segment that comes in (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const { run_id } = await newRun(services);
    const journal = new TestJournal();
    const [same, later, lost] = [newEgress(), newEgress(), newEgress()];
    await ingest(services, journal.segment([decided(run_id, same), decided(run_id, later), completed(run_id, same, { bytes_in: 3 })]));
    t.deepEqual(shape(await listActions(services, { run_id, limit: 10 })), [['egress.decided', null], ['egress.decided', 'egress.completed'], ['run.created', null]]);
    await ingest(services, journal.segment([completed(run_id, later), denied(run_id, newEgress()), completed(run_id, lost)]));
    const actions = await listActions(services, { run_id, limit: 10 });
    t.deepEqual(shape(actions), [
      ['egress.completed', null], ['egress.denied', null], ['egress.decided', 'egress.completed'], ['egress.decided', 'egress.completed'], ['run.created', null],
    ]);
    t.true(actions.every(({ entry_index }) => entry_index === null));
    await sequence(services);
    t.true((await listActions(services, { run_id, limit: 10 })).every(({ entry_index }) => entry_index !== null));
    t.deepEqual(shape(await listActions(services, { run_id, type: 'egress.completed', limit: 2 })), [['egress.completed', null], ['egress.decided', 'egress.completed']]);
    t.deepEqual(await activityOf(services.database.kysely, run_id), { allowed: 2, denied: 1 });
  });

  test(`rows from before bodies were packed read as before, and are completed (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const { kysely } = services.database;
    const [whole, open] = [newEgress(), newEgress()];
    const old = (type: Event['type'], egress_id: string): Event => ({
      v: 1, event_id: uuidv7(services.clock.now()), type, at: 1, run_id: 'run_x', causes: [], actor: { kind: 'proxy', id: 'prx_old' }, facts: { egress_id, spent: {} }, payload: { old: true },
    });
    const [first, end, second] = [old('egress.decided', whole), old('egress.completed', whole), old('egress.decided', open)];
    const header = { v: 1, kind: 'segment', entry_id: 'ent_old', journal_id: 'jnl_old', sequence: 0 } as const;
    const entry = makeEntry(header, [first, end, second], () => '0'.repeat(32));
    await kysely.insertInto('entries').values({
      entry_id: 'ent_old', kind: 'segment', position: null, leaf: Buffer.from(entry.leaf).toString('hex'), body: entry.body, packed: null, events: 3, recorded_at: 1, journal_id: 'jnl_old', sequence: 0, digest: 'x',
    }).execute();
    const none = { line: null, completion_line: null };
    await kysely.insertInto('events').values([
      { ...none, event_id: first.event_id, type: first.type, at: 1, run_id: 'run_x', entry_id: 'ent_old', body: JSON.stringify(first), egress_id: whole, completion_id: end.event_id, completion_type: end.type, completion_entry_id: 'ent_old', completion_body: JSON.stringify(end) },
      { ...none, event_id: second.event_id, type: second.type, at: 1, run_id: 'run_x', entry_id: 'ent_old', body: JSON.stringify(second), egress_id: open, completion_id: null, completion_type: null, completion_entry_id: null, completion_body: null },
    ]).execute();
    t.deepEqual((await listActions(services, { run_id: 'run_x', limit: 10 })).map(({ event, completion }) => [event, completion]), [[second, null], [first, end]]);
    await ingest(services, new TestJournal().segment([denied('run_x', newEgress()), completed('run_x', open, { bytes_in: 3 })]));
    const [, later] = await listActions(services, { run_id: 'run_x', limit: 10 });
    t.deepEqual(later!.event, second);
    t.like(later!.completion, { type: 'egress.completed', facts: { egress_id: open, spent: { bytes_in: 3 } }, payload: {} });
  });

  test(`a record may hold what Postgres can't store as text (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const journal = new TestJournal();
    const payload = { path: '/nul\0"\\u0000\\', text: 'snow ☃ 𝄞' };
    t.is((await ingest(services, journal.segment([{ ...denied('run_x', newEgress()), payload }]))).status, 'ingested');
    const [action] = await listActions(services, { run_id: 'run_x', limit: 1 });
    t.deepEqual(action!.event.payload, payload);
  });
}
