import * as fc from 'fast-check';
import { sql } from 'kysely';
import type { Draw } from '../../../contracts/data-plane.ts';
import { newId } from '../../../contracts/ids.ts';
import { listActions } from '../../../control-plane/audit/commands.ts';
import { ingest } from '../../../control-plane/audit/ingest.ts';
import { balancesOf } from '../../../control-plane/budgets/commands.ts';
import { draw } from '../../../control-plane/proxies/commands.ts';
import type { Services } from '../../../control-plane/services.ts';
import { backends, newRun, servicesFor } from '../backends.ts';
import { completed, decided, newEgress, recovered, returned, TestJournal } from '../segments.ts';

const requestOf = (run_id: string, journal_id: string, wanted: Draw['wanted'], draw_id = newId('draw', Date.now())): Draw => ({ draw_id, journal_id, run_id, epoch: 1, wanted });

/** The ledger's own sums, by what moved. */
async function ledgerOf(services: Services, run_id: string, meter: string): Promise<Record<string, number>> {
  const rows = await services.database.kysely.selectFrom('ledger').select(['kind', sql<number>`sum(units)::int8`.as('units')])
    .where('run_id', '=', run_id).where('meter', '=', meter as 'requests').groupBy('kind').execute();
  return Object.fromEntries(rows.map(({ kind, units }) => [kind, units]));
}

for (const { name, test, locate } of backends) {
  test(`however draws run side by side, they never get one unit more than the limit (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const property = fc.asyncProperty(
      fc.integer({ min: 0, max: 200 }),
      fc.array(fc.record({ wanted: fc.integer({ min: 1, max: 90 }), journal: fc.nat({ max: 2 }) }), { minLength: 1, maxLength: 25 }),
      async (limit, draws) => {
        const { run_id } = await newRun(services, { budget: { requests: limit } });
        const journals = [1, 2, 3].map(() => newId('journal', Date.now()));
        const answers = await Promise.all(draws.map(({ wanted, journal }) => draw(services, requestOf(run_id, journals[journal]!, { requests: wanted }))));
        const granted = answers.reduce((sum, answer) => sum + answer.granted.requests!, 0);
        const balance = (await balancesOf(services.database.kysely, [run_id])).get(run_id)!.requests!;
        t.true(granted <= limit, `${granted} granted of ${limit}`);
        t.is(balance.reserved, granted);
        t.is((await ledgerOf(services, run_id, 'requests'))['reserve'] ?? 0, granted);
        const asked = draws.reduce((sum, { wanted }) => sum + wanted, 0);
        // Nothing is left lying where somebody was refused.
        if (asked >= limit) t.is(granted, limit);
        for (const [index, answer] of answers.entries()) t.is(answer.exhausted.length > 0, answer.granted.requests! < draws[index]!.wanted);
      },
    );
    await fc.assert(property, { numRuns: name === 'Postgres' ? 25 : 10 });
  });

  test(`a draw gives a slice of what remains, down to the last unit (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const { run_id } = await newRun(services, { budget: { requests: 100, bytes_in: 10_000_000 } });
    const journal = newId('journal', Date.now());
    const grants: number[] = [];
    for (;;) {
      const answer = await draw(services, requestOf(run_id, journal, { requests: 1 }));
      if (answer.exhausted.length > 0) {
        t.deepEqual({ granted: answer.granted, exhausted: answer.exhausted, remaining: answer.balances.requests?.remaining }, { granted: { requests: 0 }, exhausted: ['requests'], remaining: 0 });
        break;
      }
      grants.push(answer.granted.requests!);
    }
    t.is(grants.reduce((sum, units) => sum + units, 0), 100);
    t.is(grants[0], 25);
    t.is(grants.at(-1), 1);
    const bytes = await draw(services, requestOf(run_id, journal, { bytes_in: 1 }));
    t.is(bytes.granted.bytes_in, 1024 * 1024, 'a slice has a cap');
  });

  test(`a repeated draw gets the same answer and no more units, also at the same moment (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const { run_id } = await newRun(services, { budget: { requests: 100 } });
    const request = requestOf(run_id, newId('journal', Date.now()), { requests: 10 });
    const answers = await Promise.all(Array.from({ length: 6 }, () => draw(services, request)));
    answers.push(await draw(services, request));
    for (const answer of answers) t.deepEqual(answer, answers[0]!);
    t.is((await balancesOf(services.database.kysely, [run_id])).get(run_id)!.requests!.reserved, 25);
  });

  test(`nothing is given to a run that is unknown, over, of another epoch, or for a journal that was closed (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const { run_id } = await newRun(services);
    const journal = new TestJournal();
    const closed = new TestJournal();
    await ingest(services, closed.segment([recovered(closed.journal_id, [])]));
    const table: readonly [string, Draw][] = [
      ['unknown', requestOf('run_none', journal.journal_id, { requests: 1 })],
      ['epoch', { ...requestOf(run_id, journal.journal_id, { requests: 1 }), epoch: 2 }],
      ['closed', requestOf(run_id, closed.journal_id, { requests: 1 })],
    ];
    for (const [why, request] of table) t.like(await draw(services, request), { granted: { requests: 0 }, exhausted: ['requests'] }, why);
    t.like(await draw(services, requestOf(run_id, journal.journal_id, { requests: 1 })), { exhausted: [] });
  });

  test(`a segment settles what it says was spent and given back; an unlimited meter counts too (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const { run_id } = await newRun(services, { budget: { requests: 10, bytes_in: 1000 } });
    const journal = new TestJournal();
    await draw(services, requestOf(run_id, journal.journal_id, { requests: 5, bytes_in: 400, bytes_out: 100 }));
    const [first, second] = [newEgress(), newEgress()];
    await ingest(services, journal.segment([decided(run_id, first), decided(run_id, second), completed(run_id, first, { bytes_in: 300, bytes_out: 20 })]));
    let balances = (await balancesOf(services.database.kysely, [run_id])).get(run_id)!;
    t.like(balances.requests, { used: 2, reserved: 3, remaining: 5 });
    t.like(balances.bytes_in, { used: 300, reserved: 100, remaining: 600 });
    await ingest(services, journal.segment([completed(run_id, second), returned(run_id, { requests: 3, bytes_in: 100, bytes_out: 80 })]));
    balances = (await balancesOf(services.database.kysely, [run_id])).get(run_id)!;
    t.like(balances.requests, { used: 2, reserved: 0, remaining: 8 });
    t.like(balances.bytes_in, { used: 300, reserved: 0, remaining: 700 });
    t.deepEqual(await ledgerOf(services, run_id, 'requests'), { grant: 10, reserve: 5, settle: 2, release: 3 });
  });

  test(`half and four fifths of a budget are told once each (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const { run_id } = await newRun(services, { budget: { requests: 10 } });
    const journal = new TestJournal();
    await draw(services, requestOf(run_id, journal.journal_id, { requests: 10 }));
    for (let count = 0; count < 10; count++) await ingest(services, journal.segment([decided(run_id, newEgress())]));
    const told = await listActions(services, { type: 'budget.threshold_reached', limit: 10 });
    t.deepEqual(told.toReversed().map(({ event }) => event.facts) as unknown, [
      { meter: 'requests', percent: 50, used: 5, limit: 10 }, { meter: 'requests', percent: 80, used: 8, limit: 10 },
    ]);
  });

  test(`what was never drawn is still recorded as used, and takes nothing out of what others hold (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const { run_id } = await newRun(services, { budget: { requests: 4 } });
    const [honest, other] = [new TestJournal(), new TestJournal()];
    await draw(services, requestOf(run_id, honest.journal_id, { requests: 2 }));
    await ingest(services, other.segment([decided(run_id, newEgress()), decided(run_id, newEgress()), decided(run_id, newEgress()), returned(run_id, { requests: 9 })]));
    t.like((await balancesOf(services.database.kysely, [run_id])).get(run_id)!.requests, { used: 3, reserved: 2, remaining: 0 });
    t.like(await draw(services, requestOf(run_id, honest.journal_id, { requests: 1 })), { granted: { requests: 0 } });
  });

  test(`a recovered journal leaves nothing reserved (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const [open, idle] = [await newRun(services, { budget: { requests: 10, bytes_in: 1000 } }), await newRun(services, { budget: { requests: 10, bytes_in: 1000 } })];
    const journal = new TestJournal();
    for (const { run_id } of [open, idle]) await draw(services, requestOf(run_id, journal.journal_id, { requests: 4, bytes_in: 500 }));
    const egress = newEgress();
    await ingest(services, journal.segment([decided(open.run_id, egress), recovered(journal.journal_id, [{ egress_id: egress, run_id: open.run_id }])]));
    const balances = await balancesOf(services.database.kysely, [open.run_id, idle.run_id]);
    t.like(balances.get(open.run_id)!.requests, { used: 1, reserved: 0, remaining: 9 });
    t.like(balances.get(open.run_id)!.bytes_in, { used: 500, reserved: 0, remaining: 500 });
    t.like(balances.get(idle.run_id)!.requests, { used: 0, reserved: 0, remaining: 10 });
    t.like(balances.get(idle.run_id)!.bytes_in, { used: 0, reserved: 0, remaining: 1000 });
  });

  test(`draws, segments and returns side by side end with books that agree (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const runs = await Promise.all([1, 2].map(() => newRun(services, { budget: { requests: 120 } })));
    const spent = new Map(runs.map(({ run_id }) => [run_id, 0]));
    // Each worker draws for both runs, spends what it was given, and gives the rest back, as fast as it can.
    await Promise.all(Array.from({ length: 4 }, async () => {
      const journal = new TestJournal();
      for (let round = 0; round < 6; round++) {
        const drawn = await Promise.all(runs.map(async ({ run_id }) => ({ run_id, units: (await draw(services, requestOf(run_id, journal.journal_id, { requests: 3 }))).granted.requests! })));
        const records = drawn.flatMap(({ run_id, units }) => {
          const used = Math.floor(units / 2);
          spent.set(run_id, spent.get(run_id)! + used);
          return [...Array.from({ length: used }, () => decided(run_id, newEgress())), returned(run_id, { requests: units - used })];
        });
        await ingest(services, journal.segment(records));
      }
    }));
    for (const { run_id } of runs) {
      const balance = (await balancesOf(services.database.kysely, [run_id])).get(run_id)!.requests!;
      t.deepEqual({ used: balance.used, reserved: balance.reserved }, { used: spent.get(run_id)!, reserved: 0 });
      t.true(balance.used <= 120);
      const ledger = await ledgerOf(services, run_id, 'requests');
      t.is(ledger['reserve'], (ledger['settle'] ?? 0) + (ledger['release'] ?? 0));
    }
  });
}
