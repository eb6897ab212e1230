import { lookup, resolve4, resolveCname, Resolver } from 'node:dns/promises';
import { connect } from 'node:net';
import { event, within } from './wait.ts';
import { startCanary } from './canary.ts';
import { needs } from './needs.ts';
import { startProcess } from './process.ts';
import { addresses, dnsZone, freshAddress, noRoute } from './world.ts';
import { onInterface } from './world/addresses.ts';

const test = needs('world');
const test6 = needs('world', 'ipv6');

test('the only interface is lo', async (t) => {
  const links = startProcess(t, 'ip', ['-o', 'link']);
  await links.exit();
  t.deepEqual(links.stdout().trim().split('\n').map((line) => line.split(': ')[1]), ['lo']);
});

test('each address of the world can be listened on and reached', async (t) => {
  for (const entry of onInterface.filter((text) => !text.includes(':'))) {
    const address = entry.replace(/\/.*/, '');
    const canary = await startCanary(t, address, 0);
    const socket = connect(canary.port, address);
    t.teardown(() => socket.destroy());
    await event(`a connection to ${address}`, socket, 'connect');
    t.true((await event(`the canary's answer at ${address}`, socket, 'data')).join('').includes('caught'));
    t.is(canary.contacts.length, 1, address);
  }
});

test6('IPv6 addresses of each class can be reached', async (t) => {
  for (const entry of onInterface.filter((text) => text.includes(':') && !text.startsWith('fe80'))) {
    const address = entry.replace(/\/.*/, '');
    const canary = await startCanary(t, address, 0);
    const socket = connect(canary.port, address);
    t.teardown(() => socket.destroy());
    await event(`a connection to ${address}`, socket, 'connect');
    t.is(canary.contacts.length, 1, address);
  }
  const canary = await startCanary(t, `${addresses.linkLocal6}%lo`, 0);
  const socket = connect(canary.port, `${addresses.linkLocal6}%lo`);
  t.teardown(() => socket.destroy());
  await event('a connection to the link-local address', socket, 'connect');
});

test('no packet leaves: an address that nobody plays has no route', async (t) => {
  const socket = connect(80, noRoute);
  const [error] = await event('a refusal', socket, 'error') as [NodeJS.ErrnoException];
  t.is(error.code, 'ENETUNREACH');
  const other = connect(80, addresses.unreachable);
  const [problem] = await event('a refusal', other, 'error') as [NodeJS.ErrnoException];
  t.is(problem.code, 'EHOSTUNREACH');
});

test('a connection to the silent address neither opens nor fails', async (t) => {
  const socket = connect(80, addresses.silent);
  t.teardown(() => socket.destroy());
  const outcome = within('an outcome', new Promise((resolve) => { socket.once('connect', resolve).once('error', resolve); }), 300);
  await t.throwsAsync(outcome, { message: /Did not come/ });
});

test('names have the addresses that the test gave them, by getaddrinfo and by a resolver of its own', async (t) => {
  const zone = dnsZone(t);
  const name = await zone.set('site', [addresses.public, addresses.public2, addresses.public6]);
  t.deepEqual((await lookup(name, { all: true, order: 'verbatim' })).map(({ address }) => address).sort(), [addresses.public, addresses.public2, addresses.public6].sort());
  t.deepEqual((await resolve4(name)).sort(), [addresses.public, addresses.public2]);
  t.true((await zone.queries()).some((query) => query.name === name && query.type === 28 && query.transport === 'udp'));
});

test('a sequence rebinds: the second query of a type gets the second answer', async (t) => {
  const zone = dnsZone(t);
  const name = await zone.set('rebind', {
    kind: 'sequence',
    answers: [{ kind: 'addresses', addresses: [addresses.public] }, { kind: 'addresses', addresses: [addresses.metadata] }],
  });
  t.deepEqual(await resolve4(name), [addresses.public]);
  t.deepEqual(await resolve4(name), [addresses.metadata]);
  t.deepEqual(await resolve4(name), [addresses.metadata]);
});

test('aliases are followed, and a loop of them gives no address', async (t) => {
  const zone = dnsZone(t);
  await zone.set('end', [addresses.private10]);
  await zone.set('middle', { kind: 'alias', target: zone.name('end') });
  const first = await zone.set('first', { kind: 'alias', target: zone.name('middle') });
  t.is((await lookup(first)).address, addresses.private10);
  t.deepEqual(await resolveCname(first), [zone.name('middle')]);
  t.deepEqual(await resolve4(first), [addresses.private10]);
  const loop = await zone.set('loop', { kind: 'alias', target: zone.name('loop') });
  await t.throwsAsync(lookup(loop));
});

test('more addresses than a datagram holds come over TCP', async (t) => {
  const zone = dnsZone(t);
  const many = Array.from({ length: 100 }, (_, index) => `20.30.41.${index}`);
  const name = await zone.set('many', many);
  t.is((await resolve4(name)).length, 100);
  t.true((await zone.queries()).some((query) => query.transport === 'tcp'));
});

for (const [title, answer, code] of [
  ['no such name', { kind: 'no_such_name' }, 'ENOTFOUND'],
  ['a failing server', { kind: 'failure' }, 'ESERVFAIL'],
  ['a server that refuses', { kind: 'refused' }, 'EREFUSED'],
  ['a server that says nothing', { kind: 'silence' }, 'ETIMEOUT'],
  ['a name without addresses', { kind: 'addresses', addresses: [] }, 'ENODATA'],
] as const) {
  test(`${title} is told as ${code}`, async (t) => {
    const zone = dnsZone(t);
    const name = await zone.set('name', answer);
    // Patient where an answer is to come, even from a machine that has much else to do.
    const resolver = new Resolver({ timeout: answer.kind === 'silence' ? 300 : 20_000, tries: 1 });
    await t.throwsAsync(resolver.resolve4(name), { code });
  });
}

test('a late answer is late', async (t) => {
  const zone = dnsZone(t);
  const name = await zone.set('late', { kind: 'late', milliseconds: 200, answer: { kind: 'addresses', addresses: [addresses.public] } });
  const start = performance.now();
  t.deepEqual(await resolve4(name), [addresses.public]);
  t.true(performance.now() - start >= 195);
});

test('an embedded IPv4 address is written as its sixteen bytes', async (t) => {
  const zone = dnsZone(t);
  const name = await zone.set('mapped', ['::ffff:10.1.2.3', addresses.nat64Metadata]);
  const found = await lookup(name, { all: true, family: 6 });
  t.deepEqual(found.map(({ address }) => address).sort(), ['64:ff9b::a9fe:a9fe', '::ffff:10.1.2.3']);
});

test('the names of an ended test are gone', async (t) => {
  const ends: (() => unknown)[] = [];
  const zone = dnsZone({ teardown: (fn) => { ends.push(fn); } });
  const name = await zone.set('short', [addresses.public]);
  await resolve4(name);
  for (const end of ends) await end();
  await t.throwsAsync(resolve4(name), { code: 'ENOTFOUND' });
});

test('who wants an address that another test listens on waits for it', async (t) => {
  const ends: (() => unknown)[] = [];
  const first = await startCanary({ teardown: (fn) => { ends.push(fn); } }, addresses.metadata, 8099);
  const second = startCanary(t, addresses.metadata, 8099);
  await t.throwsAsync(within('the second', second, 100), { message: /Did not come/ });
  for (const end of ends) end();
  t.is((await second).port, first.port);
});

test('each origin can have port 80 at an address of its own', async (t) => {
  const [first, second] = [await freshAddress(), await freshAddress()];
  t.not(first, second);
  for (const address of [first, second]) {
    const canary = await startCanary(t, address, 80);
    const socket = connect(80, address);
    t.teardown(() => socket.destroy());
    await event(`a connection to ${address}`, socket, 'connect');
    await event('the answer', socket, 'data');
    t.is(canary.contacts.length, 1);
  }
});
