/**
 * Filters that knew 10/8 and 127/8 and were passed by the same addresses inside an IPv6 one (mapped, NAT64, 6to4, Teredo), by
 * carrier-grade NAT, and by metadata services at addresses that look like anybody's (168.63.129.16, 100.100.100.200, fd00:ec2::254).
 *
 * Here the class is read from the bytes, of each answer and of each literal; none of these is dialled.
 */
import test from 'ava';
import { allowedRun, askInForm, fileScene } from '../helpers/scene.ts';

const metadata = ['169.254.169.254', '100.100.100.200', '168.63.129.16', 'fd00:ec2::254', '::ffff:169.254.169.254', '64:ff9b::a9fe:a9fe', '2002:a9fe:a9fe::1', '::a9fe:a9fe', '64:ff9b::100.100.100.200'];
const inside = [
  '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.0.1', '127.0.0.1', '127.255.255.254', '0.0.0.0', '0.1.2.3', '100.64.0.1', '100.127.255.255', '169.254.1.1', '192.0.0.1', '192.0.2.1', '198.18.0.1',
  '198.51.100.1', '203.0.113.1', '224.0.0.1', '240.0.0.1', '255.255.255.255', '::', '::1', 'fe80::1', 'fec0::1', 'fc00::1', 'fdff::1', 'ff02::1', '2001:db8::1', '100::1', '::ffff:10.0.0.1', '::ffff:0:10.0.0.1',
  '::10.0.0.1', '64:ff9b::10.0.0.1', '64:ff9b:1::10.0.0.1', '2002:a00:1::', '2002:7f00:1::', '2001:0:1:2::f5ff:fffe', '2001::1',
];
const cases = [...metadata.map((address) => ({ address, code: 'core.metadata_address' })), ...inside.map((address) => ({ address, code: 'core.non_public_address' }))];

const scene = fileScene({ names: Object.fromEntries(cases.map(({ address }, index) => [`a${index}.test`, [address]])) });

for (const [index, { address, code }] of cases.entries()) {
  test(`refused with ${code}: ${address}, by name and by number`, async (t) => {
    const literal = address.includes(':') ? new URL(`http://[${address}]/`).hostname.slice(1, -1) : address;
    const run = await allowedRun(scene(), { allow: [{ host: `a${index}.test`, ports: [80], methods: ['*'] }, { host: literal, ports: [80], methods: ['*'] }], policy: {} });
    t.is((await askInForm(scene(), run, 'absolute', `a${index}.test:80`)).code, code);
    t.is((await askInForm(scene(), run, 'absolute', `${address.includes(':') ? `[${address}]` : address}:80`)).code, code);
  });
}

test('naming every range lifts that, but never for metadata', async (t) => {
  for (const address of metadata) {
    const run = await allowedRun(scene(), { allow: [{ host: `a${metadata.indexOf(address)}.test`, ports: [80], methods: ['*'] }], policy: { allow_addresses: ['0.0.0.0/0', '::/0'] } });
    t.is((await askInForm(scene(), run, 'absolute', `a${metadata.indexOf(address)}.test:80`)).code, 'core.metadata_address', address);
  }
});
