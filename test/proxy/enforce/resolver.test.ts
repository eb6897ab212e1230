import test from 'ava';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SallyportError } from '../../../contracts/errors.ts';
import { HostsFile, parseHosts } from '../../../proxy/enforce/hosts-file.ts';
import { NameResolver, type Answers, type Ask, type Resolution } from '../../../proxy/enforce/resolver.ts';
import { testClock, type TestClock } from '../../helpers/clock.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const failure = (code: string): Error => Object.assign(new Error(code), { code });
const noHosts = { lookup: () => Promise.resolve(undefined) } as unknown as HostsFile;

interface Setup { readonly resolver: NameResolver; readonly clock: TestClock; readonly asked: string[] }

function setUp(answer: (host: string, family: 4 | 6) => Answers | Promise<Answers>): Setup {
  const clock = testClock();
  const asked: string[] = [];
  const ask: Ask = async (host, family) => {
    asked.push(`${host} ${family}`);
    return await answer(host, family);
  };
  return { clock, asked, resolver: new NameResolver(clock, ask, noHosts) };
}

const dual = (v4: readonly string[], v6: readonly string[], ttlSeconds: number = 60) => (_host: string, family: 4 | 6): Answers => {
  const addresses = family === 4 ? v4 : v6;
  if (addresses.length === 0) throw failure('ENODATA');
  return { addresses, ttlSeconds };
};

test('both families are asked, and all answers count', async (t) => {
  const { resolver } = setUp(dual(['192.0.2.1', '192.0.2.2'], ['2001:db8::1']));
  t.deepEqual([...(await resolver.resolve('site.test')).addresses].sort(), ['192.0.2.1', '192.0.2.2', '2001:db8::1']);
});

for (const [ttl, lives] of [[60, 60_000], [0, 1000], [86_400, 300_000]] as const) {
  test(`an answer with a time to live of ${ttl} s is kept for ${lives / 1000} s, and then given at once`, async (t) => {
    const { resolver, clock, asked } = setUp(dual(['192.0.2.1'], [], ttl));
    await resolver.resolve('site.test');
    clock.advance(lives - 1);
    t.false(resolver.resolve('site.test') instanceof Promise);
    t.is(asked.length, 2);
    clock.advance(1);
    await resolver.resolve('site.test');
    t.is(asked.length, 4);
  });
}

test('a hundred that ask at once are one question', async (t) => {
  const { resolver, asked } = setUp(dual(['192.0.2.1'], []));
  await Promise.all(Array.from({ length: 100 }, async () => await resolver.resolve('site.test')));
  t.deepEqual(asked, ['site.test 4', 'site.test 6']);
});

for (const code of ['ENOTFOUND', 'ENODATA', 'ESERVFAIL', 'ETIMEOUT', 'ECONNREFUSED']) {
  test(`${code} is upstream_dns, and remembered for a moment only`, async (t) => {
    let failing = true;
    const { resolver, clock, asked } = setUp(() => {
      if (failing) throw failure(code);
      return { addresses: ['192.0.2.1'], ttlSeconds: 60 };
    });
    const error = await t.throwsAsync(async () => await resolver.resolve('absent.test'), { instanceOf: SallyportError });
    t.is(error?.code, 'upstream_dns');
    t.throws(() => resolver.resolve('absent.test'), { instanceOf: SallyportError });
    t.is(asked.length, 2);
    failing = false;
    clock.advance(5000);
    t.truthy(await resolver.resolve('absent.test'));
  });
}

test('a server that never answers one family delays the other by a second, and nothing for more than five', async (t) => {
  const never = new Promise<Answers>(() => undefined);
  const half = setUp((_host, family) => family === 4 ? { addresses: ['192.0.2.1'], ttlSeconds: 60 } : never);
  const resolving = half.resolver.resolve('site.test') as Promise<Resolution>;
  await new Promise((resolve) => { setImmediate(resolve); });
  half.clock.advance(1000);
  t.deepEqual((await resolving).addresses, ['192.0.2.1']);

  const silent = setUp(() => never);
  const waiting = silent.resolver.resolve('site.test') as Promise<Resolution>;
  await new Promise((resolve) => { setImmediate(resolve); });
  silent.clock.advance(5000);
  const error = await t.throwsAsync(waiting, { instanceOf: SallyportError });
  t.is(error?.code, 'upstream_dns');
});

test('more than 256 questions at once are refused, and more than 64 addresses of a name', async (t) => {
  const gate = Promise.withResolvers<Answers>();
  const { resolver } = setUp(() => gate.promise);
  const all = Array.from({ length: 256 }, (_, index) => resolver.resolve(`h${index}.test`));
  t.is(t.throws(() => resolver.resolve('more.test'), { instanceOf: SallyportError })?.code, 'overloaded');
  gate.resolve({ addresses: ['192.0.2.1'], ttlSeconds: 1 });
  await Promise.all(all);
  const many = setUp(() => ({ addresses: Array.from({ length: 65 }, (_, index) => `192.0.2.${index}`), ttlSeconds: 1 }));
  t.is((await t.throwsAsync(async () => await many.resolver.resolve('many.test'), { instanceOf: SallyportError }))?.code, 'upstream_dns');
});

test('localhost and what is below it are loopback, and nobody is asked', async (t) => {
  const { resolver, asked } = setUp(dual(['20.30.40.50'], []));
  for (const host of ['localhost', 'x.localhost']) t.deepEqual((await resolver.resolve(host)).addresses, ['127.0.0.1', '::1']);
  t.deepEqual(asked, []);
});

test('/etc/hosts is honoured, in its present version', async (t) => {
  const file = join(await temporaryFolder(t), 'hosts');
  const clock = testClock();
  const resolver = new NameResolver(clock, () => Promise.reject(failure('ENOTFOUND')), new HostsFile(() => clock.monotonic(), file));
  await writeFile(file, '10.0.0.1 Inside.test alias.test # comment\n::1 inside.test\n');
  t.deepEqual((await resolver.resolve('inside.test')).addresses, ['10.0.0.1', '::1']);
  t.deepEqual((await resolver.resolve('alias.test')).addresses, ['10.0.0.1']);
  await writeFile(file, '10.0.0.22 inside.test\n');
  clock.advance(5000);
  t.deepEqual((await resolver.resolve('inside.test')).addresses, ['10.0.0.22']);
});

test('lines of a hosts file that are none are passed by', (t) => {
  t.deepEqual([...parseHosts('# all\n\nfe80::1%lo0 a.test\nx y\n 127.0.0.1\tb.test  c.test\r\n127.0.0.1 b.test\n')], [['b.test', ['127.0.0.1']], ['c.test', ['127.0.0.1']]]);
});
