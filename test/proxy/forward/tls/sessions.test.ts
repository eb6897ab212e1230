import test from 'ava';
import { TlsSessions } from '../../../../proxy/forward/tls/sessions.ts';

const session = (text: string): Buffer => Buffer.from(text);

test('a session is believed until its time and no longer, and only under its key', (t) => {
  const sessions = new TlsSessions();
  sessions.put('one', { session: session('a'), until: 1000 });
  t.is(sessions.get('other', 0), undefined);
  t.deepEqual(sessions.get('one', 999)?.session, session('a'));
  t.is(sessions.get('one', 1000), undefined);
  t.is(sessions.get('one', 0), undefined, 'what is over stays over');
});

test('the newest of a key counts, until it is forgotten', (t) => {
  const sessions = new TlsSessions();
  sessions.put('one', { session: session('a'), until: 1000 });
  sessions.put('one', { session: session('b'), until: 500 });
  t.deepEqual(sessions.get('one', 0), { session: session('b'), until: 500 });
  sessions.forget('one');
  t.is(sessions.get('one', 0), undefined);
});

test('of very many sessions the oldest go, and one that is too large is not kept', (t) => {
  const sessions = new TlsSessions();
  for (let index = 0; index < 2000; index++) sessions.put(String(index), { session: session('a'), until: 1000 });
  sessions.put('0', { session: session('again'), until: 1000 });
  sessions.put('more', { session: session('a'), until: 1000 });
  t.deepEqual(['0', '1', '2', '1999', 'more'].map((key) => sessions.get(key, 0) !== undefined), [true, false, true, true, true]);
  sessions.put('large', { session: Buffer.alloc(16_385), until: 1000 });
  t.is(sessions.get('large', 0), undefined);
});
