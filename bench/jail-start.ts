import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startJail } from '../sandbox/start-jail.ts';

/**
 * From the call of `startJail` to the agent's first instruction (its first byte of output), and to the first byte that it sends to the
 * proxy, beside what bwrap alone and Node alone take, in interleaved rounds.
 *
 *   bin/sallyport-node bench/jail-start.ts [--rounds 20]
 */
const { values } = parseArgs({ options: { rounds: { type: 'string', default: '20' } } });
const rounds = Number(values.rounds);
const goals = { instruction: 80, proxied: 250 };

const work = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
chmodSync(work, 0o755);
const root = process.getuid?.() === 0;
const uid = root ? { uid: 64_333, gid: 64_333 } : {};

function timed(command: string, args: readonly string[]): number {
  const started = performance.now();
  const { status, stderr } = spawnSync(command, args, { env: {}, cwd: '/', ...uid });
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${String(stderr)}`);
  return performance.now() - started;
}

async function toFirstOutput(): Promise<number> {
  const started = performance.now();
  const jail = await startJail({ argv: ['echo', 'x'], run_id: 'bench', work, give_work: true }, { onConnection: (socket) => socket.destroy() });
  jail.stderr.resume();
  await once(jail.stdout, 'data');
  const passed = performance.now() - started;
  await jail.exited;
  return passed;
}

async function toFirstProxiedByte(): Promise<number> {
  const started = performance.now();
  let passed = Number.NaN;
  const proxy = createServer((_request, response) => {
    passed = performance.now() - started;
    response.end();
  });
  const jail = await startJail({ argv: ['curl', '-s', 'http://site.test/'], run_id: 'bench', work, give_work: true }, { onConnection: (socket) => { proxy.emit('connection', socket); } });
  jail.stdout.resume();
  jail.stderr.resume();
  await jail.exited;
  return passed;
}

async function spawned(): Promise<number> {
  const started = performance.now();
  const child = spawn('/usr/bin/true', { env: {}, stdio: 'ignore' });
  await once(child, 'exit');
  return performance.now() - started;
}

const namespaces = ['--unshare-user', '--unshare-pid', '--unshare-net', '--unshare-ipc', '--unshare-uts', '--disable-userns', '--die-with-parent'];
const merged = ['--ro-bind', '/usr', '/usr', '--symlink', 'usr/bin', '/bin', '--symlink', 'usr/lib', '/lib', '--symlink', 'usr/lib64', '/lib64', '--proc', '/proc', '--dev', '/dev'];
const contenders: readonly { readonly name: string; readonly goal?: number; run(): number | Promise<number> }[] = [
  { name: 'true', run: spawned },
  { name: 'bwrap true (floor)', run: () => timed('bwrap', [...namespaces, ...merged, '/usr/bin/true']) },
  { name: 'node -e 0 (floor of the boot script)', run: () => timed(process.execPath, ['-e', '0']) },
  { name: 'jail to first instruction', goal: goals.instruction, run: toFirstOutput },
  { name: 'jail to first proxied byte (curl)', goal: goals.proxied, run: toFirstProxiedByte },
];

const times = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
try {
  for (const { run } of contenders) await run();
  for (let round = 0; round < rounds; round += 1) for (const { name, run } of contenders) times.get(name)?.push(await run());
} finally {
  rmSync(work, { recursive: true, force: true });
}
console.log(`${rounds} rounds, milliseconds, as ${root ? 'root' : 'an ordinary user'}`);
for (const { name, goal } of contenders) {
  const sorted = (times.get(name) ?? []).toSorted((a, b) => a - b);
  const at = (part: number): string => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN).toFixed(1).padStart(6);
  console.log(`${name.padEnd(38)} median ${at(0.5)}   range ${at(0)} - ${at(1)}${goal === undefined ? '' : `   goal ${goal}`}`);
}
