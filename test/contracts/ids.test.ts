import test from 'ava';
import * as fc from 'fast-check';
import { idPrefixes, isId, isUuidv7, newId, uuidv7, type IdKind } from '../../contracts/ids.ts';

test('a UUIDv7 says its millisecond, version and variant (RFC 9562, section 5.7)', (t) => {
  const id = uuidv7(Date.UTC(2100, 0, 1));
  t.regex(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  t.is(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16), Date.UTC(2100, 0, 1));
  t.true(isUuidv7(id));
});

test('ids of one process are different and never go back, also when the clock does', (t) => {
  const start = Date.UTC(2101, 0, 1);
  let last = '';
  for (let count = 0; count < 20_000; count++) {
    // Thousands within one millisecond, then a clock that steps back.
    const id = uuidv7(start + (count < 10_000 ? 0 : -count));
    t.true(id > last);
    t.true(isUuidv7(id));
    last = id;
  }
});

test('random parts of two ids differ', (t) => {
  const seen = new Set(Array.from({ length: 1000 }, (_, index) => uuidv7(Date.UTC(2102, 0, 1) + index).slice(19)));
  t.is(seen.size, 1000);
});

test('an id has the prefix of its kind and no other', (t) => {
  const kinds = Object.keys(idPrefixes) as IdKind[];
  t.is(new Set(Object.values(idPrefixes)).size, kinds.length);
  for (const kind of kinds) {
    const id = newId(kind, Date.UTC(2103, 0, 1));
    for (const other of kinds) t.is(isId(other, id), other === kind, `${id} as ${other}`);
  }
});

test('what is no id is refused', (t) => {
  const id = newId('run', Date.UTC(2104, 0, 1));
  for (const text of ['', 'run_', id.toUpperCase(), id.slice(0, -1), `${id}0`, ` ${id}`, `${id}\n`, id.replace('-7', '-4'), id.slice(4), id.replace('_', '-')]) t.false(isId('run', text), text);
  fc.assert(fc.property(fc.oneof(fc.string(), fc.uuid({ version: [1, 3, 4, 5] })), (text) => {
    t.false(isUuidv7(text));
    t.false(isId('run', `run_${text}`));
  }));
  fc.assert(fc.property(fc.uuid({ version: 7 }), (text) => t.true(isUuidv7(text))));
});
