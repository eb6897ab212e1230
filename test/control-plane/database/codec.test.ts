import test from 'ava';
import { sql } from 'kysely';
import { SallyportError } from '../../../contracts/errors.ts';
import { parsers, toJson } from '../../../control-plane/database/codec.ts';
import { backends, openFor } from '../backends.ts';

for (const backend of backends) {
  backend.test(`values of every type that we store come out alike on ${backend.name}`, async (t) => {
    const { kysely } = await openFor(t, await backend.locate(t));
    const { rows } = await sql<Record<string, unknown>>`select
      5::int8 as small, 9007199254740991::int8 as large, (-3)::int8 as negative, count(*) as counted, sum(1::int8)::int8 as summed,
      '\\x00ff10'::bytea as bytes, ''::bytea as nothing, null::int8 as missing,
      timestamptz '2031-02-03 04:05:06.789+00' as instant, timestamptz '2031-02-03 04:05:06+05:30' as elsewhere,
      timestamp '2031-02-03 04:05:06' as utc, date '2031-02-03' as day, 1.50::numeric as exact,
      '{"a": [1, "x"]}'::jsonb as object, '[1]'::json as list, true as yes, 1.5::float8 as float, 7::int4 as int4`.execute(kysely);
    t.deepEqual(rows[0], {
      small: 5, large: 9_007_199_254_740_991, negative: -3, counted: 1, summed: 1,
      bytes: Buffer.from([0, 255, 16]), nothing: Buffer.alloc(0), missing: null,
      instant: Date.UTC(2031, 1, 3, 4, 5, 6, 789), elsewhere: Date.UTC(2031, 1, 2, 22, 35, 6), utc: Date.UTC(2031, 1, 3, 4, 5, 6), day: '2031-02-03', exact: '1.50',
      object: { a: [1, 'x'] }, list: [1], yes: true, float: 1.5, int4: 7,
    });
  });

  backend.test(`values go in alike on ${backend.name}`, async (t) => {
    const { kysely } = await openFor(t, await backend.locate(t));
    const value = [{ text: 'ä"\\', number: 9_007_199_254_740_991, list: [[1]], none: null }];
    const { rows } = await sql<Record<string, unknown>>`select
      ${toJson(value)}::jsonb as json, ${9_007_199_254_740_991}::int8 as number, ${Buffer.from([0, 1, 255])}::bytea as bytes, ${null}::text as none,
      (select array_to_json(array_agg(r.n order by r.n)) from jsonb_to_recordset(${toJson([{ n: 2 }, { n: 1 }])}::jsonb) as r(n int8)) as set`.execute(kysely);
    t.deepEqual(rows[0], { json: value, number: 9_007_199_254_740_991, bytes: Buffer.from([0, 1, 255]), none: null, set: [1, 2] });
  });

  backend.test(`an integer that a number can't hold is a fault on ${backend.name}, not another integer`, async (t) => {
    const { kysely } = await openFor(t, await backend.locate(t));
    await t.throwsAsync(sql`select 9007199254740993::int8`.execute(kysely), { instanceOf: SallyportError, message: /9007199254740993/ });
  });
}

test('timestamps are read whatever offset the server writes', (t) => {
  const table = [
    ['2031-02-03 04:05:06+00', Date.UTC(2031, 1, 3, 4, 5, 6)],
    ['2031-02-03 04:05:06.5-03:30', Date.UTC(2031, 1, 3, 7, 35, 6, 500)],
    ['2031-02-03 04:05:06', Date.UTC(2031, 1, 3, 4, 5, 6)],
  ] as const;
  for (const [text, instant] of table) t.is(parsers[1184]!(text), instant, text);
});
