import test from 'ava';
import { networkInterfaces } from 'node:os';
import { OwnAddresses } from '../../../proxy/describe/own-addresses.ts';

const loopback = new OwnAddresses([{ host: '127.0.0.1', port: 3128 }]);
const any = new OwnAddresses([{ host: '0.0.0.0', port: 3128 }, { host: '::', port: 3129 }]);
const one = new OwnAddresses([{ host: '10.0.0.5', port: 3128 }, { host: '2001:db8::5', port: 3128 }]);

const cases: readonly (readonly [OwnAddresses, string, number, boolean])[] = [
  [loopback, '127.0.0.1', 3128, true],
  [loopback, '127.0.0.1', 3127, false],
  [loopback, '0.0.0.0', 3128, true],
  [loopback, '127.9.9.9', 3128, true],
  [loopback, '::ffff:127.0.0.1', 3128, true],
  [loopback, '::ffff:7f00:1', 3128, true],
  [loopback, '64:ff9b::7f00:1', 3128, true],
  [loopback, '10.0.0.5', 3128, false],
  [any, '127.0.0.1', 3128, true],
  [any, '::1', 3129, true],
  [any, '20.30.97.1', 3128, false],
  [one, '10.0.0.5', 3128, true],
  [one, '::ffff:10.0.0.5', 3128, true],
  [one, '2001:0db8:0::5', 3128, true],
  [one, '10.0.0.6', 3128, false],
  [one, '127.0.0.1', 3128, false],
  [one, 'not an address', 3128, false],
];

for (const [own, address, port, expected] of cases) {
  test(`${[loopback, any, one].indexOf(own)}: ${address}:${port} is ${expected ? '' : 'not '}ours`, (t) => {
    t.is(own.has(address, port), expected);
  });
}

test('a listener on every address is reached by each address of this machine', (t) => {
  for (const { address } of Object.values(networkInterfaces()).flat().filter((entry) => entry !== undefined)) {
    if (!address.includes('%')) t.true(any.has(address, 3128), address);
  }
});

test('an address that is added later is ours from then on', (t) => {
  const own = new OwnAddresses([]);
  t.false(own.has('10.0.0.5', 80));
  own.add({ host: '10.0.0.5', port: 80 });
  t.true(own.has('10.0.0.5', 80));
});
