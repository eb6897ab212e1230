/** A name with several addresses, of which some are dead in one way or another: the first that takes the connection is used and recorded. */
import { startInstallation, type Installation } from '../helpers/installation.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';
import { startOrigin, type Origin } from '../helpers/origin.ts';
import { addresses, dnsZone, freshAddress, noRoute, type DnsZone } from '../helpers/world.ts';

const test = needs('world', 'jail');

const file = fileLifetime();
let installation: Installation;
let site: Origin;
let zone: DnsZone;
/** An address of the world where nobody listens. */
let refusing: string;

test.before(async () => {
  zone = dnsZone(file);
  refusing = await freshAddress();
  site = await startOrigin(file);
  await startOrigin(file, { address: addresses.public6 });
  installation = await startInstallation(file);
});

/** By what is asked for: the addresses in the order of the answer, and where the exchange must end; null is a failure. */
const table: readonly (readonly [title: string, answers: () => readonly string[], address: () => string | null, code: string | null])[] = [
  ['a first address that drops everything', () => [addresses.silent, site.address], () => site.address, null],
  ['a first address that refuses', () => [refusing, site.address], () => site.address, null],
  ['first addresses that can\'t be reached', () => [noRoute, addresses.unreachable, site.address], () => site.address, null],
  ['five that can\'t be reached before the one', () => [...Array.from({ length: 5 }, (_, index) => `20.30.97.${index + 1}`), site.address], () => site.address, null],
  ['both families alive: IPv6', () => [site.address, addresses.public6], () => addresses.public6, null],
  ['IPv6 that refuses', () => [site.address, addresses.public6b], () => site.address, null],
  ['all refusing', () => [refusing, addresses.public6b], () => null, 'upstream_refused'],
];

for (const [index, [title, answers, address, code]] of table.entries()) {
  test.serial(`a name with ${title}`, async (t) => {
    const host = await zone.set(`name${index}`, [...answers()]);
    const { stdout, report } = await installation.run(['--allow', `${host}:80:GET`], ['curl', '-s', `http://${host}/`]);
    t.is(report.egress[0]?.address ?? null, address());
    if (code === null) t.is(stdout, 'hello\n');
    else t.true(stdout.includes(`"${code}"`), stdout);
  });
}
