import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/**
 * Plain HTTP, absolute form, keep-alive, 64 connections, 1 KiB: Sallyport with all checks on (policy, budget, journal), its bare wire,
 * Squid, tinyproxy and no proxy at all, in interleaved rounds. The proxies run on one core; load, origin and Sallyport's control plane
 * on the other, where `taskset` and two cores are to be had.
 *
 *   bin/sallyport-node bench/plain.ts [--rounds 5] [--seconds 3]
 */
const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '3' } } });
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const connections = 64;
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
chmodSync(folder, 0o777);
const children: ChildProcess[] = [];

interface Contender {
  readonly name: string;
  readonly port: number;
  readonly pid: number | undefined;
  readonly authorization?: string;
}

const has = (tool: string): boolean => {
  try {
    execFileSync('sh', ['-c', `PATH="$PATH:/usr/sbin" command -v ${tool}`]);
    return true;
  } catch {
    return false;
  }
};
const pinned = has('taskset');

function start(core: number, command: string, args: readonly string[]): ChildProcess {
  const [program, all] = pinned ? ['taskset', ['-c', String(core), command, ...args]] : [command, [...args]];
  const child = spawn(program, all, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` } });
  children.push(child);
  return child;
}

async function firstLine(child: ChildProcess): Promise<Record<string, unknown>> {
  let text = '';
  for await (const piece of child.stdout!) {
    text += String(piece);
    const end = text.indexOf('\n');
    if (end >= 0) return JSON.parse(text.slice(0, end)) as Record<string, unknown>;
  }
  throw new Error('ended without a line');
}

async function startNode(core: number, file: string, args: readonly string[] = []): Promise<{ readonly line: Record<string, unknown>; readonly pid: number | undefined }> {
  const child = start(core, process.execPath, [here(file), ...args]);
  return { line: await firstLine(child), pid: child.pid };
}

const freePort = (): Promise<number> => new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo;
    server.close(() => { resolve(port); });
  });
});

async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const open = await fetch(`http://127.0.0.1:${port}/`).then(() => true, () => false);
    if (open) return;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  throw new Error(`nothing listens on ${port}`);
}

async function squid(): Promise<Contender> {
  const port = await freePort();
  const file = join(folder, 'squid.conf');
  writeFileSync(file, [
    `http_port 127.0.0.1:${port}`, `pid_filename ${folder}/squid.pid`, `cache_log ${folder}/squid.log`, 'access_log none', 'cache_store_log none', 'cache deny all',
    'cache_mem 8 MB', `coredump_dir ${folder}`, 'http_access allow all', 'client_persistent_connections on', 'server_persistent_connections on', 'pconn_timeout 1 hour',
    'workers 1', 'shutdown_lifetime 0 seconds', 'pinger_enable off', 'max_filedescriptors 4096', '',
  ].join('\n'));
  const child = start(0, 'squid', ['-N', '-n', `b${process.pid}`, '-f', file]);
  await listening(port);
  return { name: 'squid', port, pid: child.pid };
}

async function tinyproxy(): Promise<Contender> {
  const port = await freePort();
  const file = join(folder, 'tinyproxy.conf');
  writeFileSync(file, [`Port ${port}`, 'Listen 127.0.0.1', 'Timeout 600', `LogFile "${folder}/tinyproxy.log"`, 'LogLevel Critical', 'MaxClients 1000', 'Allow 127.0.0.0/8', ''].join('\n'));
  const child = start(0, 'tinyproxy', ['-d', '-c', file]);
  await listening(port);
  return { name: 'tinyproxy', port, pid: child.pid };
}

/** The product as it is started by anybody, with a run that may do what the load does. */
async function sallyport(origin: number): Promise<Contender> {
  const data = join(folder, 'data');
  const env = { ...process.env, SALLYPORT_DATA: data };
  const up = spawn(process.execPath, [here('../cli/main.ts'), 'up', '--listen', '127.0.0.1:0', '--api', '127.0.0.1:0', '--json'], { stdio: ['ignore', 'pipe', 'inherit'], env });
  children.push(up);
  const { addresses } = await firstLine(up) as { readonly addresses: { readonly proxy: { readonly port: number } } };
  const created = execFileSync(process.execPath, [
    here('../cli/main.ts'), 'runs', 'create', '--json', '--allow', `127.0.0.1:${origin}:GET`, '--allow-address', '127.0.0.0/8',
    '--budget', 'requests=1000000000,bytes_out=1TiB,bytes_in=1TiB,wall_clock=1h',
  ], { env, encoding: 'utf8' });
  const { run_id, agent_token } = JSON.parse(created) as { readonly run_id: string; readonly agent_token: string };
  const pid = Number(execFileSync('pgrep', ['-P', String(up.pid), '-f', 'proxy/main.ts'], { encoding: 'utf8' }));
  const others = execFileSync('pgrep', ['-P', String(up.pid)], { encoding: 'utf8' }).trim().split('\n').map(Number).filter((other) => other !== pid);
  if (pinned) for (const [core, process_] of [[0, pid], ...others.map((other) => [1, other])]) execFileSync('taskset', ['-apc', String(core), String(process_)]);
  return { name: 'sallyport, all checks', port: addresses.proxy.port, pid, authorization: `Basic ${Buffer.from(`${run_id}:${agent_token}`).toString('base64')}` };
}

const residentMiB = (pid: number | undefined): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid ?? 'self'}/status`, 'latin1'))?.[1]) / 1024;

/** Seconds of processor time that a process has used; 10 ms grain. */
function processorSeconds(pid: number | undefined): number {
  if (pid === undefined) return 0;
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
const range = (numbers: readonly number[], digits: number): string => `${median(numbers).toFixed(digits)} (${Math.min(...numbers).toFixed(digits)}..${Math.max(...numbers).toFixed(digits)})`;

try {
  const origin = Number((await startNode(1, './wire-origin.ts')).line['port']);
  const wire = await startNode(0, './wire-proxy.ts');
  const whole = await sallyport(origin);
  console.log(`An idle proxy worker holds ${residentMiB(whole.pid).toFixed(0)} MiB (goal 120).`);
  const contenders: Contender[] = [
    { name: 'no proxy', port: origin, pid: undefined },
    whole,
    { name: 'sallyport wire', port: Number(wire.line['port']), pid: wire.pid },
  ];
  for (const [name, start_] of [['squid', squid], ['tinyproxy', tinyproxy]] as const) {
    if (has(name)) contenders.push(await start_());
    else console.log(`${name} is missing: apt-get install ${name} (Debian), then run this again.`);
  }
  if (!pinned) console.log('taskset is missing (package util-linux): the processes share all cores.');

  const rates = new Map<string, number[]>();
  const costs = new Map<string, number[]>();
  const ratios = new Map<string, number[]>();
  for (let round = 0; round < rounds; round++) {
    const seen = new Map<string, number>();
    for (const { name, port, pid, authorization } of round % 2 === 0 ? contenders : contenders.toReversed()) {
      const before = processorSeconds(pid);
      const { line } = await startNode(1, './wire-load.ts', [String(port), `http://127.0.0.1:${origin}/file`, String(connections), String(seconds), ...(authorization === undefined ? [] : [authorization])]);
      if (line['problem'] !== null) {
        console.log(`round ${round + 1}, ${name}: void: ${String(line['problem'])}`);
        continue;
      }
      const rate = Number(line['per_second']);
      seen.set(name, rate);
      rates.set(name, [...rates.get(name) ?? [], rate]);
      // Warm-up is paid too: half a second at the same rate.
      costs.set(name, [...costs.get(name) ?? [], (processorSeconds(pid) - before) / (rate * (seconds + 0.5)) * 1e6]);
    }
    const reference = seen.get('squid');
    if (reference !== undefined) for (const [name, rate] of seen) ratios.set(name, [...ratios.get(name) ?? [], rate / reference]);
  }
  console.log('| | requests/s | x squid, same round | processor us/request |\n| --- | --- | --- | --- |');
  for (const { name } of contenders) {
    const rate = rates.get(name) ?? [];
    if (rate.length > 0) console.log(`| ${name} | ${range(rate, 0)} | ${ratios.has(name) ? range(ratios.get(name)!, 2) : '-'} | ${name === 'no proxy' ? '-' : range(costs.get(name)!, 1)} |`);
  }
} finally {
  for (const child of children) child.kill('SIGKILL');
  // Sallyport's own children end when their supervisor does, a moment later.
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
}
