/** A jailed agent tries what it may not. Each try is refused with its code, recorded, explained in the report, and reaches nobody. */
import { startCanary, type Canary } from '../helpers/canary.ts';
import { startInstallation, type Installation } from '../helpers/installation.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';
import { startOrigin, type Origin } from '../helpers/origin.ts';
import { addresses, dnsZone, type DnsZone } from '../helpers/world.ts';

const test = needs('world', 'jail');

let installation: Installation;
let site: Origin;
let zone: DnsZone;
let host: string;
const canaries: Canary[] = [];

const file = fileLifetime();
test.before(async () => {
  zone = dnsZone(file);
  installation = await startInstallation(file);
  site = await startOrigin(file);
  host = await zone.set('site', [site.address]);
  for (const [address, port] of [[site.address, 8080], [addresses.private10, 80], [addresses.loopback, 8099], [addresses.metadata, 80], [addresses.carrierGrade, 80]] as const) {
    canaries.push(await startCanary(file, address, port));
  }
  await zone.set('inside', [addresses.private10]);
  await zone.set('metadata', [addresses.metadata]);
  await zone.set('mixed', [site.address, addresses.private10]);
  await zone.set('embedded', { kind: 'addresses', addresses: [addresses.nat64Private] });
});

const untouched = (): string[] => canaries.flatMap(({ address, port, contacts }) => contacts.length > 0 ? [`${address}:${port}`] : []);

interface Attempt {
  readonly title: string;
  readonly allow: () => readonly string[];
  readonly curl: () => readonly string[];
  readonly code: string;
  readonly status: number;
  /** What the report must offer, if anything can allow it. */
  readonly offers?: () => string;
}

const attempts: readonly Attempt[] = [
  { title: 'a host that nothing allows', allow: () => [`${host}:80:GET`], curl: () => [`http://${zone.name('other')}/`], code: 'policy_denied', status: 403, offers: () => `--allow ${zone.name('other')}:80:GET` },
  { title: 'another port of an allowed host', allow: () => [`${host}:80:GET`], curl: () => [`http://${host}:8080/`], code: 'policy_denied', status: 403, offers: () => `--allow ${host}:8080:GET` },
  { title: 'another method', allow: () => [`${host}:80:GET`], curl: () => ['-X', 'DELETE', `http://${host}/`], code: 'policy_denied', status: 403, offers: () => `--allow ${host}:80:DELETE` },
  { title: 'a path beside the allowed prefix', allow: () => [`${host}:80:GET:/api`], curl: () => [`http://${host}/apix`], code: 'policy_denied', status: 403 },
  { title: 'a path that leaves the allowed prefix by dot segments', allow: () => [`${host}:80:GET:/api`], curl: () => ['--path-as-is', `http://${host}/api/../secret`], code: 'path_not_canonical', status: 400 },
  { title: 'dot segments percent-encoded', allow: () => [`${host}:80:GET:/api`], curl: () => ['--path-as-is', `http://${host}/api/%2e%2e/secret`], code: 'path_not_canonical', status: 400 },
  { title: 'a private address by name', allow: () => [`${zone.name('inside')}:80:GET`], curl: () => [`http://${zone.name('inside')}/`], code: 'core.non_public_address', status: 403, offers: () => `--allow-address ${addresses.private10}` },
  { title: 'a private address by number', allow: () => [`${addresses.private10}:80:GET`], curl: () => [`http://${addresses.private10}/`], code: 'core.non_public_address', status: 403 },
  { title: 'loopback of the host', allow: () => ['127.0.0.1:8099:GET'], curl: () => ['--noproxy', '', 'http://127.0.0.1:8099/'], code: 'core.non_public_address', status: 403 },
  { title: 'loopback spelled as one number', allow: () => ['127.0.0.1:8099:GET'], curl: () => ['--noproxy', '', 'http://2130706433:8099/'], code: 'core.non_public_address', status: 403 },
  { title: 'the metadata address, although its range is allowed', allow: () => [`${addresses.metadata}:80:GET`, '--allow-address', '169.254.0.0/16'], curl: () => [`http://${addresses.metadata}/latest/`], code: 'core.metadata_address', status: 403 },
  { title: 'a name that resolves to the metadata address', allow: () => [`${zone.name('metadata')}:80:GET`, '--allow-address', '169.254.0.0/16'], curl: () => [`http://${zone.name('metadata')}/`], code: 'core.metadata_address', status: 403 },
  { title: 'a name with one public and one private answer', allow: () => [`${zone.name('mixed')}:80:GET`], curl: () => [`http://${zone.name('mixed')}/`], code: 'core.non_public_address', status: 403 },
  { title: 'a private address embedded in IPv6', allow: () => [`${zone.name('embedded')}:80:GET`], curl: () => [`http://${zone.name('embedded')}/`], code: 'core.non_public_address', status: 403 },
  { title: 'a Host header that names another host', allow: () => [`${host}:80:GET`, '--allow', `${zone.name('other')}:80:GET`], curl: () => ['-H', `Host: ${zone.name('other')}`, `http://${host}/`], code: 'core.host_mismatch', status: 403 },
  { title: 'a switch to another protocol than a web socket', allow: () => [`${host}:80:GET`], curl: () => ['-H', 'Connection: Upgrade', '-H', 'Upgrade: tcp', `http://${host}/`], code: 'not_supported', status: 501 },
];

for (const { title, allow, curl, code, status, offers } of attempts) {
  test.serial(`Refused with ${code}: ${title}`, async (t) => {
    const before = site.requests.length;
    const [first = '', ...more] = allow();
    const { stdout, stderr, report } = await installation.run(
      ['--allow', first, ...more], ['curl', '-sS', '-m', '20', '-o', '/tmp/answer', '-w', '%{http_code}\n', ...curl(), '--next', '-s', 'file:///tmp/answer'],
    );
    const [said, ...body] = stdout.split('\n');
    t.is(said, String(status), stderr);
    const problem = JSON.parse(body.join('\n')) as { code: string; detail: string; next_steps: string[] };
    t.is(problem.code, code);
    t.true(problem.detail.length > 10);
    t.true(problem.next_steps.length > 0);

    t.deepEqual(report.egress.map((egress) => [egress.effect, egress.code]), [['deny', code]]);
    t.is(report.state, 'Done', 'a refusal does not end the run');
    t.is(report.budget['requests']?.used, 0, 'a refusal costs nothing');
    t.regex(stderr, new RegExp(code.replace('.', '\\.')));
    if (offers !== undefined) t.true(stderr.includes(offers()), `the report does not offer ${offers()}:\n${stderr}`);
    t.is(site.requests.length, before, 'the origin saw it');
    t.deepEqual(untouched(), []);
  });
}

test.serial('Refused: CONNECT to port 443 without TUNNEL in a run that does not look into TLS, and the report names the flags', async (t) => {
  const { stderr, report } = await installation.run(['--no-intercept', '--allow', host], ['curl', '-sS', '-m', '20', `https://${host}/`]);
  t.deepEqual(report.egress.map(({ act, effect, code }) => [act, effect, code]), [['connect', 'deny', 'needs_interception']]);
  t.true(stderr.includes(`--allow ${host}:443:TUNNEL`));
});

test.serial('Not possible at all: a raw TCP connection, a UDP datagram and a DNS lookup from the jail', async (t) => {
  const probe = `
import socket
def attempt(name, work):
    try: work(); print(name, 'THROUGH')
    except OSError as error: print(name, 'failed')
attempt('tcp', lambda: socket.create_connection(('${site.address}', 80), 3))
attempt('canary', lambda: socket.create_connection(('${addresses.private10}', 80), 3))
attempt('udp', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('${addresses.metadata}', 80)))
attempt('dns', lambda: socket.getaddrinfo('${host}', 80))
`;
  const { stdout, report } = await installation.run(['--allow', `${host}:80:GET`], ['python3', '-c', probe]);
  t.is(stdout, 'tcp failed\ncanary failed\nudp failed\ndns failed\n');
  t.deepEqual(report.egress, []);
  t.deepEqual(untouched(), []);
});

test.serial('A denied name is never looked up', async (t) => {
  const name = zone.name('secret-in-the-name');
  await installation.run(['--allow', `${host}:80:GET`], ['curl', '-s', `http://${name}/`]);
  t.false((await zone.queries()).some((query) => query.name === name));
});

test.serial('A private address is reached where the run names its range', async (t) => {
  const inside = await startOrigin(t, { address: addresses.private172 });
  const { stdout, stderr } = await installation.run(['--allow', `${addresses.private172}:80:GET`, '--allow-address', '172.16.0.0/12'], ['curl', '-s', `http://${addresses.private172}/`]);
  t.is(stdout, 'hello\n', stderr);
  t.is(inside.requests.length, 1);
});
