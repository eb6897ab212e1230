/** A proxy on another machine: a network namespace of its own, whose control plane is reached by https over the only cable. */
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { makeCertificate } from '../helpers/certificate.ts';
import { startFront, type Front } from '../helpers/control-plane-front.ts';
import { startInstallation, type Installation } from '../helpers/installation.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { startMachine, type Machine } from '../helpers/machine.ts';
import { needs } from '../helpers/needs.ts';
import { startOrigin, type Origin } from '../helpers/origin.ts';
import { ask } from '../helpers/proxy-worker.ts';
import type { TestProcess } from '../helpers/process.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { until, within } from '../helpers/wait.ts';
import { dnsZone, freshAddress } from '../helpers/world.ts';

const test = needs('world', 'root', 'command openssl', 'command nsenter', 'command curl');

/** Longer than two heartbeats of the stream. */
const snapshotMaxAgeMs = 20_000;

let machine: Machine;
let installation: Installation;
let front: Front;
let proxy: TestProcess;
/** Its data folder, and the port where it takes agents. */
let folder: string;
let port: number;
let site: Origin;
let host: string;
let secure: string;

interface Run { readonly run_id: string; readonly authorization: string; readonly url: string; readonly acknowledged: number }

const file = fileLifetime();
test.before(async (t) => {
  t.timeout(240_000);
  machine = await startMachine(file);
  installation = await startInstallation(file, { up: ['--workers', '4', '--api', `${machine.gateway}:0`, '--without-tls'] });
  const api = /"api":"([^"]+)"/.exec(installation.up.stdout())?.[1] ?? '';
  const certificate = await makeCertificate(file, `IP:${machine.gateway}`);
  front = await startFront(file, { host: machine.gateway, certificate, api, snapshotMaxAgeMs });
  const { stdout: token } = await installation.command(['proxy', 'token']);
  folder = join(await temporaryFolder(file), 'd');
  const tokenFile = join(await temporaryFolder(file), 'token');
  await writeFile(tokenFile, token, { mode: 0o600 });
  proxy = machine.start(fileURLToPath(new URL('../../bin/sallyport', import.meta.url)), [
    'proxy', '--control-plane', `https://${machine.gateway}:${front.port}`, '--ca', certificate.file, '--token-file', tokenFile,
    '--listen', `${machine.address}:0`, '--without-tls', '--workers', '2', '--data', folder, '--json',
  ]);
  const [line = ''] = await proxy.line(/^\{.*"ready".*\}$/, 120_000);
  port = (JSON.parse(line) as { readonly addresses: { readonly proxy: { readonly port: number } } }).addresses.proxy.port;

  const zone = dnsZone(file);
  site = await startOrigin(file, { respond: (_request, response) => { response.end('ok\n'); } });
  host = await zone.set('site', [site.address]);
  const address = await freshAddress();
  secure = await zone.set('secure', [address]);
  const { key, cert } = await makeCertificate(file, `DNS:${secure}`);
  const server = createTlsServer({ key, cert }, (socket) => {
    socket.on('error', () => { /* Cut, which is what is looked at. */ });
    socket.pipe(socket);
  });
  server.listen(443, address);
  await once(server, 'listening');
  file.teardown(() => server.close());
});

async function createRun(budget: object = { requests: 100_000, bytes_out: 2 ** 40, bytes_in: 2 ** 40, wall_clock_ms: 3_600_000 }): Promise<Run> {
  const { status, body } = await installation.api<{ run_id: string; agent_token: string; proxies: { acknowledged: number } }>('POST', '/chat/run', {
    goal: 'test', budget,
    policy: { allow: [
      { id: 'allow-0', host, ports: [80], methods: ['GET'], path_prefix: null },
      { id: 'allow-1', host: secure, ports: [443], methods: ['TUNNEL'], path_prefix: null },
      // Only that it is the proxy's own control plane stands against it.
      { id: 'allow-2', host: machine.gateway, ports: [front.port], methods: ['GET'], path_prefix: null },
    ], allow_addresses: ['10.77.0.0/16'] },
  });
  if (status !== 201) throw new Error(JSON.stringify(body));
  const { run_id, agent_token, proxies } = body;
  return {
    run_id, acknowledged: proxies.acknowledged,
    authorization: `Basic ${Buffer.from(`${run_id}:${agent_token}`).toString('base64')}`,
    url: `http://${run_id}:${agent_token}@${machine.address}:${port}`,
  };
}

/** Opens a tunnel through the other machine, with TLS in it that works. */
async function openTunnel({ authorization }: Run): Promise<Socket> {
  const socket = connect(port, machine.address);
  socket.on('error', () => { /* 'close' says it. */ });
  socket.write(`CONNECT ${secure}:443 HTTP/1.1\r\nHost: ${secure}:443\r\nProxy-Authorization: ${authorization}\r\n\r\n`);
  const [answer] = await within('the answer to CONNECT', once(socket, 'data')) as [Buffer];
  if (!answer.toString().startsWith('HTTP/1.1 200')) throw new Error(answer.toString());
  const inner = connectTls({ socket, servername: secure, rejectUnauthorized: false });
  inner.on('error', () => { /* As above. */ });
  await within('TLS through the tunnel', once(inner, 'secureConnect'));
  inner.write('echo');
  await within('an echo', once(inner, 'data'));
  return socket;
}

test.serial('an agent\'s curl on the other machine goes out from there, and its run is told by all workers of both', async (t) => {
  const run = await createRun();
  t.is(run.acknowledged, 6);
  const seen = site.requests.length;
  const curl = machine.start('curl', ['-sS', '-x', run.url, `http://${host}/elsewhere`]);
  t.is((await curl.exit()).code, 0, curl.stderr());
  t.is(curl.stdout(), 'ok\n');
  t.is(site.requests.length, seen + 1);
  t.is(site.requests.at(-1)?.connection.from, machine.address);
  const refused = machine.start('curl', ['-sS', '-x', run.url, `http://${machine.gateway}:${front.port}/`]);
  await refused.exit();
  t.regex(refused.stdout(), /"code": *"core\.self_address"/);
  // Jails are the other machine's: nobody on this one can be such a run.
  t.deepEqual(await readdir(join(folder, 's')), []);
  t.false(proxy.stdout().includes('sp_px_') || proxy.stderr().includes('sp_px_'));
});

test.serial('a cancel closes an open tunnel on the other machine', async (t) => {
  const run = await createRun();
  const tunnel = await openTunnel(run);
  const closed = once(tunnel, 'close').then(() => performance.now());
  t.false(tunnel.closed);
  const began = performance.now();
  t.is((await installation.api('POST', `/chat/run/${run.run_id}/cancel`, {})).status, 200);
  const took = await within('the tunnel to be closed', closed) - began;
  t.log(`closed ${took.toFixed(1)} ms after the cancel was sent`);
  t.true(took < 2000, `${took} ms`);
});

test.serial('200 parallel requests with 100 left over 4 workers here and 2 elsewhere bring exactly 100 to the origin', async (t) => {
  const run = await createRun({ requests: 100, bytes_out: 2 ** 40, bytes_in: 2 ** 40, wall_clock_ms: 3_600_000 });
  const before = site.requests.length;
  const answers = await Promise.all(Array.from({ length: 200 }, async (_, index) => {
    if (index % 2 === 0) return await ask({ port: installation.port }, `http://${host}/${index}`, { authorization: run.authorization });
    const curl = machine.start('curl', ['-sS', '-m', '60', '-x', run.url, `http://${host}/${index}`]);
    await curl.exit(60_000);
    return { status: curl.stdout() === 'ok\n' ? 200 : 403, code: /"code": *"([a-z_]+)"/.exec(curl.stdout())?.[1] };
  }));
  t.is(site.requests.length - before, 100);
  t.is(answers.filter(({ status }) => status === 200).length, 100);
  t.is(answers.filter(({ code }) => code === 'budget_exhausted').length, 100);
});

test.serial('without its control plane the proxy serves from what it holds until that is too old, then refuses, and comes back', async (t) => {
  t.timeout(180_000);
  const run = await createRun();
  const get = async (): Promise<string> => {
    const curl = machine.start('curl', ['-sS', '-m', '30', '-x', run.url, `http://${host}/`]);
    await curl.exit(60_000);
    return curl.stdout();
  };
  t.deepEqual(await Promise.all(Array.from({ length: 12 }, get)), Array.from({ length: 12 }, () => 'ok\n'));
  const tunnel = await openTunnel(run);
  const closed = once(tunnel, 'close');
  t.teardown(() => front.mend());
  await front.cut();
  // A worker that had not drawn any units yet has nothing to serve from; the one that did goes on.
  const without = await Promise.all(Array.from({ length: 12 }, get));
  t.true(without.includes('ok\n'), `it did not serve from what it holds: ${without[0]}`);
  t.deepEqual(without.filter((answer) => answer.includes('snapshot_expired')), []);
  t.false(tunnel.closed);
  await within('the tunnel to be closed', closed, 60_000);
  await until('a refusal', async () => /"snapshot_expired"/.test(await get()), 60_000);
  await front.mend();
  await until('an answer again', async () => await get() === 'ok\n', 60_000);
});

test.serial('sallyport restart and down work there as well', async (t) => {
  const env = { ...process.env, SALLYPORT_DATA: folder };
  const restarted = machine.start(fileURLToPath(new URL('../../bin/sallyport', import.meta.url)), ['restart'], { env });
  t.is((await restarted.exit(120_000)).code, 0, restarted.stderr());
  t.regex(restarted.stdout(), /All 2 proxy workers were replaced/);
  const down = machine.start(fileURLToPath(new URL('../../bin/sallyport', import.meta.url)), ['down'], { env });
  t.is((await down.exit(60_000)).code, 0, down.stderr());
  t.is((await proxy.exit()).code, 0);
});
