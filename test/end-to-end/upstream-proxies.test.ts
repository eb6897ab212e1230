/** `sallyport up --upstream-proxies`: jailed agents reach the world by a corporate proxy, which nobody reaches otherwise. */
import { connect, type Socket } from 'node:net';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startInstallation, type Installation } from '../helpers/installation.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';
import { startOrigin, type Origin } from '../helpers/origin.ts';
import { startSallyport } from '../helpers/process.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { addresses, dnsZone, type DnsZone } from '../helpers/world.ts';

const test = needs('world', 'jail');

const proxyPort = 3128;
const file = fileLifetime();
let installation: Installation;
let site: Origin;
let zone: DnsZone;
let proxy: string;
const asked: string[] = [];

/** A proxy that connects where it is asked to, if it is shown the right credentials; it knows one name by itself. */
function serve(socket: Socket): void {
  let head = '';
  const read = (chunk: Buffer): void => {
    head += chunk.toString('latin1');
    if (!head.includes('\r\n\r\n')) return;
    socket.removeListener('data', read);
    asked.push(head.slice(0, head.indexOf('\r\n')));
    const [, host = '', port] = /^CONNECT (\S+):(\d+) /.exec(head) ?? [];
    if (!head.includes(`Proxy-Authorization: Basic ${Buffer.from('corp:secret').toString('base64')}`)) return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    const other = connect(Number(port), host === zone.name('delegated') ? site.address : host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(other).pipe(socket);
    });
    other.on('error', () => socket.end('HTTP/1.1 503 Service Unavailable\r\n\r\n'));
    socket.on('close', () => other.destroy());
  };
  socket.on('data', read);
}

async function listOf(rules: readonly object[]): Promise<string> {
  const folder = await temporaryFolder(file);
  await writeFile(join(folder, 'secret'), 'corp:secret\n');
  await chmod(join(folder, 'secret'), 0o600);
  await writeFile(join(folder, 'list.json'), JSON.stringify(rules));
  return join(folder, 'list.json');
}

test.before(async () => {
  zone = dnsZone(file);
  site = await startOrigin(file);
  const corporate = await startOrigin(file, { address: addresses.private10, port: proxyPort, connection: serve });
  proxy = `http://${corporate.address}:${proxyPort}`;
  await zone.set('site', [site.address]);
  await zone.set('direct', [site.address]);
  await zone.set('inside', [addresses.private10]);
  const by = { proxy, credentials_file: 'secret' };
  installation = await startInstallation(file, { up: ['--upstream-proxies', await listOf([
    { hosts: [zone.name('direct')], proxy: 'direct' }, { hosts: [zone.name('delegated'), `*.${zone.name('corp')}`], ...by, resolve: 'there' }, { hosts: ['*'], ...by },
  ])] });
});

async function answer(url: string, ...options: readonly string[]): Promise<{ readonly body: string; readonly code: string | null; readonly address: string | null }> {
  const finished = await installation.run(options, ['curl', '-s', url]);
  const [egress] = finished.report.egress;
  return { body: finished.stdout, code: egress?.code ?? null, address: egress?.address ?? null };
}

test.serial('a name that we resolve: the proxy gets the address, the record tells it', async (t) => {
  const { body, code, address } = await answer(`http://${zone.name('site')}/`, '--allow', `${zone.name('site')}:80:GET`);
  t.is(body, 'hello\n');
  t.is(code, null);
  t.is(address, site.address);
  t.deepEqual(asked.splice(0), [`CONNECT ${site.address}:80 HTTP/1.1`]);
  t.is(site.requests.at(-1)?.headers.host, zone.name('site'));
});

test.serial('a host that a rule calls direct goes without', async (t) => {
  t.is((await answer(`http://${zone.name('direct')}/`, '--allow', `${zone.name('direct')}:80:GET`)).body, 'hello\n');
  t.deepEqual(asked.splice(0), []);
});

test.serial('a name that the proxy resolves: only one that the run names exactly', async (t) => {
  t.is((await answer(`http://${zone.name('delegated')}/`, '--allow', `${zone.name('delegated')}:80:GET`)).body, 'hello\n');
  t.deepEqual(asked.splice(0), [`CONNECT ${zone.name('delegated')}:80 HTTP/1.1`]);
  const below = `x.${zone.name('corp')}`;
  t.is((await answer(`http://${below}/`, '--allow', `*.${zone.name('corp')}:80:GET`)).code, 'core.delegated_address');
  t.deepEqual(asked.splice(0), []);
});

test.serial('neither the proxy itself nor what is private behind it is reached', async (t) => {
  const range = ['--allow-address', '10.0.0.0/8'];
  t.is((await answer(`${proxy}/`, '--allow', `${addresses.private10}:${proxyPort}:GET`, ...range)).code, 'core.self_address');
  t.is((await answer(`http://${zone.name('inside')}:${proxyPort}/`, '--allow', `${zone.name('inside')}:${proxyPort}:GET`, ...range)).code, 'core.self_address');
  t.is((await answer(`http://${zone.name('inside')}/`, '--allow', `${zone.name('inside')}:80:GET`)).code, 'core.non_public_address');
  t.deepEqual(asked.splice(0), []);
});

test.serial('mistakes in the list end up with exit 78 and their places', async (t) => {
  const list = await listOf([{ hosts: ['Upper.test'], proxy: 'direct' }, { hosts: ['*'], proxy: 'socks5://x:1' }]);
  const up = startSallyport(t, ['up', '--upstream-proxies', list], { env: { ...process.env, SALLYPORT_DATA: join(await temporaryFolder(t), 'd') } });
  t.is((await up.exit(60_000)).code, 78);
  t.regex(up.stderr(), /0\.hosts\.0.*1\.proxy/s);
});
