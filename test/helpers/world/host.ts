/**
 * Keeps the test world: runs inside its namespaces, serves DNS and Postgres to the tests, and runs the program.
 *   host.ts FOLDER PROGRAM [ARGUMENT ...]
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { dnsAddresses } from './addresses.ts';
import { serveControl } from './control.ts';
import { serveDns } from './dns-server.ts';
import { DnsZones } from './dns-zones.ts';
import { missingVariable, type Missing } from './missing.ts';
import { postgresBinaries, startPostgresServer, type PostgresServer } from './postgres-server.ts';

const [folder = '', command = '', ...args] = process.argv.slice(2);

const starter = new Socket({ fd: 3 });
starter.on('error', () => process.exit(70));
starter.on('close', () => process.exit(70));
starter.resume();

const zones = new DnsZones();
const world = process.env['TEST_WORLD_MISSING'];
if (world === undefined) for (const address of dnsAddresses) await serveDns(address, zones);

let postgres: Promise<PostgresServer> | undefined;
const startPostgres = async (): Promise<string> => {
  postgres ??= startPostgresServer(folder).then((server) => {
    // Without a process namespace nothing else ends it.
    process.on('exit', () => server.process.kill('SIGQUIT'));
    return server;
  });
  return (await postgres).socketFolder;
};
const control = join(folder, 'control');
await serveControl(control, { zones, postgres: startPostgres });

const ipv6 = process.env['TEST_WORLD_IPV6'] ?? 'there is no world';
const missing: Missing = {
  world,
  ipv6: ipv6 === 'yes' ? undefined : ipv6,
  jail: jailProblem(),
  postgres: await postgresBinaries() === undefined ? 'PostgreSQL server binaries are not installed' : undefined,
};
const child = spawn(command, args, {
  stdio: 'inherit',
  env: { ...process.env, TEST_WORLD_CONTROL: control, [missingVariable]: JSON.stringify(missing) },
});
const [code, signal] = await once(child, 'exit') as [number | null, string | null];
if (signal !== null) process.stderr.write(`${command} was ended by ${signal}\n`);
const server = await postgres;
if (server !== undefined) {
  server.process.kill('SIGQUIT');
  await once(server.process, 'exit');
}
process.exit(code ?? 70);

/** Whether a jail can be had here at all. What the jail itself needs is for its own tests to find out. */
function jailProblem(): string | undefined {
  const drop = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  const tried = spawnSync('bwrap', [
    '--unshare-user', '--unshare-pid', '--unshare-net', '--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev', 'true',
  ], { cwd: '/', encoding: 'utf8', ...drop });
  if (tried.error !== undefined) return `bwrap cannot be started: ${tried.error.message}`;
  return tried.status === 0 ? undefined : tried.stderr.trim() || `bwrap ended with ${tried.status ?? tried.signal}`;
}
