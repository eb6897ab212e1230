import { Socket } from 'node:net';
import type { PermittedAddress } from '../../../proxy/enforce/permit.ts';
import { interleave } from '../../../proxy/forward/attempts.ts';
import test from 'ava';
import { dial, type Dialling } from '../../../proxy/forward/dial.ts';
import { forwardLimits } from '../../../proxy/forward/limits.ts';
import { testClock, type TestClock } from '../../helpers/clock.ts';

interface Fake {
  readonly address: string;
  readonly socket: Socket;
  read: (bytes: Buffer) => void;
}

const permitted = (address: string): PermittedAddress => ({ address, family: address.includes(':') ? 6 : 4, address_class: 'public' });

function start(addresses: readonly string[]): { readonly clock: TestClock; readonly opened: Fake[]; readonly dialling: Dialling<Fake> } {
  const clock = testClock();
  const opened: Fake[] = [];
  const permit = { host: 'a.test', port: 80, addresses: addresses.map(permitted) };
  const dialling = dial(permit, (address) => {
    const fake: Fake = { address, socket: new Socket(), read: () => { /* Nothing comes. */ } };
    opened.push(fake);
    return fake;
  }, clock, forwardLimits);
  return { clock, opened, dialling };
}

const fail = (fake: Fake, code: string): void => {
  fake.socket.emit('error', Object.assign(new Error(code), { code }));
  fake.socket.emit('close', true);
};

test('the first address that connects wins, the others are closed', async (t) => {
  const { clock, opened, dialling } = start(['20.0.0.1', '20.0.0.2', '20.0.0.3']);
  t.deepEqual(opened.map(({ address }) => address), ['20.0.0.1']);
  clock.advance(249);
  t.is(opened.length, 1);
  clock.advance(1);
  t.is(opened.length, 2);
  opened[1]!.socket.emit('connect');
  t.is((await dialling.connected).address, '20.0.0.2');
  t.true(opened[0]!.socket.destroyed);
  t.false(opened[1]!.socket.destroyed);
  clock.advance(60_000);
  t.is(opened.length, 2);
  t.is(clock.waiting, 0);
});

test('a failure brings the next address at once, and the last failure is told', async (t) => {
  const { opened, dialling } = start(['20.0.0.1', '20.0.0.2']);
  fail(opened[0]!, 'EHOSTUNREACH');
  t.is(opened.length, 2);
  fail(opened[1]!, 'ECONNREFUSED');
  await t.throwsAsync(dialling.connected, { message: 'a.test:80 refused the connection.' });
});

const codes = [['ECONNREFUSED', 'upstream_refused'], ['ETIMEDOUT', 'upstream_timeout'], ['ENETUNREACH', 'upstream_unreachable'], ['ECONNRESET', 'upstream_reset'], ['EMFILE', 'overloaded'], ['EWHATEVER', 'upstream_reset']] as const;
for (const [system, code] of codes) {
  test(`${system} is ${code}`, async (t) => {
    const { opened, dialling } = start(['20.0.0.1']);
    fail(opened[0]!, system);
    await t.throwsAsync(dialling.connected, { code });
  });
}

test('no address that answers is a time-out, and everything is closed', async (t) => {
  const { clock, opened, dialling } = start(['20.0.0.1', '20.0.0.2']);
  clock.advance(forwardLimits.connect_ms);
  await t.throwsAsync(dialling.connected, { code: 'upstream_timeout' });
  t.true(opened.every(({ socket }) => socket.destroyed));
});

test('a name is never dialled, nor is nothing', async (t) => {
  for (const addresses of [['a.test'], ['0x7f.1'], []]) {
    const { opened, dialling } = start(addresses);
    await t.throwsAsync(dialling.connected, { code: 'internal' });
    t.is(opened.length, 0);
  }
});

test('no more addresses are tried than the bound', async (t) => {
  const { clock, opened, dialling } = start(Array.from({ length: 20 }, (_, index) => `20.0.0.${index + 1}`));
  dialling.connected.catch(() => { /* Below. */ });
  clock.advance(5000);
  t.is(opened.length, forwardLimits.addresses);
  dialling.cancel();
  t.true(opened.every(({ socket }) => socket.destroyed));
  clock.advance(60_000);
  t.is(clock.waiting, 0);
});

test('families are tried in turn, IPv6 first, each in the order given', (t) => {
  const table: readonly (readonly [given: string, tried: string])[] = [
    ['20.0.0.1', '20.0.0.1'],
    ['20.0.0.1 20.0.0.2', '20.0.0.1 20.0.0.2'],
    ['2620:1::1 2620:1::2', '2620:1::1 2620:1::2'],
    ['20.0.0.1 2620:1::1', '2620:1::1 20.0.0.1'],
    ['20.0.0.1 20.0.0.2 20.0.0.3 2620:1::1', '2620:1::1 20.0.0.1 20.0.0.2 20.0.0.3'],
    ['20.0.0.1 20.0.0.2 2620:1::1 2620:1::2 2620:1::3', '2620:1::1 20.0.0.1 2620:1::2 20.0.0.2 2620:1::3'],
  ];
  for (const [given, tried] of table) t.is(interleave(given.split(' ').map(permitted)).map(({ address }) => address).join(' '), tried);
});

test('of many addresses of one family the other one still gets its turn within the bound', (t) => {
  const { clock, opened, dialling } = start([...Array.from({ length: 20 }, (_, index) => `2620:1::${index + 1}`), '20.0.0.1']);
  clock.advance(250);
  t.deepEqual(opened.map(({ address }) => address), ['2620:1::1', '20.0.0.1']);
  dialling.cancel();
});

test('the next attempt starts at once when the newest failed, though an older one still waits', (t) => {
  const { clock, opened, dialling } = start(['20.0.0.1', '20.0.0.2', '20.0.0.3', '20.0.0.4']);
  clock.advance(250);
  fail(opened[1]!, 'ECONNREFUSED');
  t.is(opened.length, 3);
  clock.advance(249);
  t.is(opened.length, 3);
  clock.advance(1);
  t.is(opened.length, 4);
  dialling.cancel();
});

test('an older attempt that fails does not hurry the next one', (t) => {
  const { clock, opened, dialling } = start(['20.0.0.1', '20.0.0.2', '20.0.0.3']);
  clock.advance(250);
  fail(opened[0]!, 'ECONNREFUSED');
  t.is(opened.length, 2);
  clock.advance(250);
  t.is(opened.length, 3);
  dialling.cancel();
});

test('all refused is told when the last one was', async (t) => {
  const { opened, dialling } = start(Array.from({ length: 8 }, (_, index) => `20.0.0.${index + 1}`));
  for (let index = 0; index < forwardLimits.addresses; index++) fail(opened[index]!, 'ECONNREFUSED');
  await t.throwsAsync(dialling.connected, { code: 'upstream_refused' });
  t.is(opened.length, forwardLimits.addresses);
});
