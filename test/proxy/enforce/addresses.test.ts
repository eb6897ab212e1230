import test from 'ava';
import type { Egress } from '../../../proxy/describe/egress.ts';
import { OwnAddresses } from '../../../proxy/describe/own-addresses.ts';
import { AddressBook } from '../../../proxy/enforce/addresses.ts';
import { NameResolver } from '../../../proxy/enforce/resolver.ts';
import type { LiveRun } from '../../../proxy/runs.ts';
import { testClock } from '../../helpers/clock.ts';

const runOf = (run_id: string): LiveRun => ({ run_id, snapshot: { policy: { resolve: [] } } } as unknown as LiveRun);
const egressTo = (host: string): Egress => ({ host, port: 80, is_ip_literal: false } as unknown as Egress);

test('a run whose names are answered slowly does not take the lookups of others', async (t) => {
  const waiting: (() => void)[] = [];
  const resolver = new NameResolver(testClock(), () => new Promise((resolve) => { waiting.push(() => resolve({ addresses: ['192.0.2.1'], ttlSeconds: 60 })); }));
  const book = new AddressBook(resolver, new OwnAddresses([]));
  const [attacker, other] = [runOf('run_1'), runOf('run_2')];
  const found = Array.from({ length: 64 }, (_, index) => book.find(attacker, egressTo(`a${index}.slow.test`)));
  t.throws(() => book.find(attacker, egressTo('a64.slow.test')), { code: 'rate_limited' });
  found.push(book.find(other, egressTo('site.test')));
  const again = Array.from({ length: 100 }, () => book.find(attacker, egressTo('a1.slow.test')));
  while (waiting.length < 2 * found.length) await new Promise(setImmediate);
  for (const answer of waiting) answer();
  t.is((await Promise.all([...found, ...again])).length, 165);
  t.notThrows(() => book.find(attacker, egressTo('a64.slow.test')));
  for (const answer of waiting) answer();
});
