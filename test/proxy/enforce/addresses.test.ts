import test from 'ava';
import type { Egress } from '../../../proxy/describe/egress.ts';
import { OwnAddresses } from '../../../proxy/describe/own-addresses.ts';
import { AddressBook } from '../../../proxy/enforce/addresses.ts';
import { NameResolver } from '../../../proxy/enforce/resolver.ts';
import { UpstreamProxies } from '../../../proxy/enforce/upstream-proxies.ts';
import type { LiveRun } from '../../../proxy/runs.ts';
import { testClock } from '../../helpers/clock.ts';

const runOf = (run_id: string): LiveRun => ({ run_id, snapshot: { policy: { resolve: [] } } } as unknown as LiveRun);
const egressTo = (host: string): Egress => ({ host, port: 80, is_ip_literal: false } as unknown as Egress);

test('a run whose names are answered slowly does not take the lookups of others', async (t) => {
  const waiting: (() => void)[] = [];
  const resolver = new NameResolver(testClock(), () => new Promise((resolve) => { waiting.push(() => resolve({ addresses: ['192.0.2.1'], ttlSeconds: 60 })); }));
  const book = new AddressBook(resolver, new OwnAddresses([]));
  const [attacker, other] = [runOf('run_1'), runOf('run_2')];
  const found = Array.from({ length: 51 }, (_, index) => book.find(attacker, egressTo(`a${index}.slow.test`)));
  t.throws(() => book.find(attacker, egressTo('a51.slow.test')), { code: 'rate_limited' });
  found.push(book.find(other, egressTo('site.test')));
  const again = Array.from({ length: 100 }, () => book.find(attacker, egressTo('a1.slow.test')));
  while (waiting.length < 2 * found.length) await new Promise(setImmediate);
  for (const answer of waiting) answer();
  t.is((await Promise.all([...found, ...again])).length, 152);
  t.notThrows(() => book.find(attacker, egressTo('a51.slow.test')));
  for (const answer of waiting) answer();
});

test('colluding runs leave look-ups for the others, and every run may ask for one name', async (t) => {
  const waiting: (() => void)[] = [];
  const resolver = new NameResolver(testClock(), () => new Promise((resolve) => { waiting.push(() => resolve({ addresses: ['192.0.2.1'], ttlSeconds: 60 })); }));
  const book = new AddressBook(resolver, new OwnAddresses([]));
  const found: unknown[] = [];
  for (const run of Array.from({ length: 4 }, (_, index) => runOf(`run_${index}`))) {
    t.throws(() => { for (let index = 0; index < 256; index++) found.push(book.find(run, egressTo(`${index}.${run.run_id}.test`))); }, { code: 'rate_limited' });
  }
  t.true(resolver.free > 64, `${resolver.free} are left`);
  t.notThrows(() => { for (let index = 0; index < 10; index++) found.push(book.find(runOf('run_other'), egressTo(`${index}.other.test`))); });
  while (resolver.free > 0) found.push(book.find(runOf(`run_more_${resolver.free}`), egressTo(`${resolver.free}.more.test`)));
  t.is(found.length, 256);
  t.throws(() => book.find(runOf('run_late'), egressTo('late.test')), { code: 'overloaded' });
  while (waiting.length < 512) await new Promise(setImmediate);
  for (const answer of waiting) answer();
  await Promise.all(found);
  t.is(resolver.free, 256);
});

test('an upstream proxy that is given by name stays out of reach at each address it had, also for who looked that address up before', async (t) => {
  const clock = testClock();
  let at = '10.0.0.1';
  const resolver = new NameResolver(clock, (host, family) => (family === 6 ? Promise.reject(Object.assign(new Error('none'), { code: 'ENODATA' }))
    : Promise.resolve({ addresses: [host === 'proxy.test' ? at : '10.0.0.2'], ttlSeconds: 1 })));
  const own = new OwnAddresses([]);
  const upstreams = new UpstreamProxies([{ hosts: ['*.corp.test'], proxy: 'http://proxy.test:3128', resolve: 'here' }], resolver);
  own.also(upstreams);
  const book = new AddressBook(resolver, own, upstreams);
  await upstreams.start();
  const classOf = async (host: string, port = 3128): Promise<string> => (await book.find(runOf('run_1'), { host, port, is_ip_literal: host.startsWith('10.') } as unknown as Egress)).addresses[0]!.address_class;
  t.deepEqual([await classOf('10.0.0.1'), await classOf('10.0.0.2'), await classOf('other.test')], ['self', 'private', 'private']);
  at = '10.0.0.2';
  clock.advance(2_000);
  await classOf('x.corp.test', 80);
  t.deepEqual([await classOf('10.0.0.1'), await classOf('10.0.0.2'), await classOf('other.test')], ['self', 'self', 'self']);
});
