import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { OpenLoopJob, OpenLoopResult } from '../load/open-loop.ts';
import type { TlsToolsJob } from '../load/tls-tools.ts';
import { programPath } from '../machine/programs.ts';
import { bump } from '../peers/bump.ts';
import { direct } from '../peers/direct.ts';
import { mitmproxy } from '../peers/mitmproxy.ts';
import { smallBytes } from '../stage.ts';
import { costColumns, measured, rateColumns } from './measured.ts';
import { runLoad, targetOf } from './run-load.ts';
import type { Bench, Contender, Figures, Work } from './work.ts';

const source = fileURLToPath(new URL('../load/connect-through.c', import.meta.url));

/** What leads a program through the proxy: compiled where the bench keeps its files. */
function shim(folder: string): string {
  const library = join(folder, 'connect-through.so');
  if (!existsSync(library)) execFileSync(programPath('gcc') ?? 'gcc', ['-O2', '-shared', '-fPIC', '-o', library, source, '-ldl']);
  return library;
}

async function byTool(bench: Bench, contender: Contender, kind: TlsToolsJob['kind'], args: readonly string[], processes: number): Promise<Figures> {
  const name = kind === 'h2load' ? 'h2load' : 'openssl';
  const program = programPath(name);
  if (program === undefined) throw new Error(`${name} is missing: apt-get install ${kind === 'h2load' ? 'nghttp2-client' : name}`);
  const { authority, authorizations, port } = targetOf(contender, bench.origins, 'tls', 'tunnel');
  const credentials = authorizations.length === 0 ? '' : `Proxy-Authorization: ${authorizations[0]}\r\n`;
  const through = contender.running.port === undefined ? {} : {
    LD_PRELOAD: shim(bench.stage.folder), BENCH_PROXY_PORT: String(port), BENCH_ORIGIN_PORT: String(bench.origins.tls.port),
    BENCH_CONNECT: `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${credentials}\r\n`,
  };
  const job: TlsToolsJob = { program, kind, args, processes, seconds: bench.seconds, environment: through, bytes: smallBytes };
  return (await measured(bench, contender, () => runLoad(bench.stage, 'tls-tools', job))).figures;
}

/** `h2load` never verifies; what the client does is the same for all. */
const keepAlive = (name: string, title: string, flags: readonly string[], goal: string): Work => ({
  name, title, reference: bump.name, columns: rateColumns('requests/s', bump.name),
  summary: [{ column: `x ${bump.name}`, goal }], fits: (peer) => peer.intercepts,
  round: (bench, contender) => byTool(bench, contender, 'h2load', [
    ...flags, '-t', '1', '-D', String(Math.max(1, Math.round(bench.seconds))), `--connect-to=127.0.0.1:${bench.origins.tls.port}`, `https://localhost:${bench.origins.tls.port}/item`,
  ], 1),
});

const handshakes: Work = {
  name: 'handshakes', title: 'TLS handshakes: new connection, CONNECT, a full handshake, one GET of 1 KiB inside, close; 8 at a time',
  reference: bump.name, columns: rateColumns('handshakes/s', bump.name), summary: [{ column: `x ${bump.name}`, goal: '>= 4' }], fits: (peer) => peer.intercepts,
  round: (bench, contender) => byTool(bench, contender, 's_time', [
    's_time', '-connect', `127.0.0.1:${bench.origins.tls.port}`, '-new', '-time', String(Math.max(1, Math.round(bench.seconds))), '-www', '/item',
  ], 8),
};

const rate = 200;

const latency: Work = {
  name: 'tls-latency', title: `Latency of intercepted HTTP/1.1 at ${rate} requests/s over 16 connections, open loop, counted from when each was due (ms)`, reference: bump.name,
  columns: [
    { title: 'p50', figure: 'p50', digits: 3 },
    { title: 'added p50', figure: 'p50', digits: 3, against: { contender: direct.name, by: 'difference' } },
    { title: 'p99', figure: 'p99', digits: 2 },
    { title: `p99 x ${bump.name}`, figure: 'p99', digits: 2, against: { contender: bump.name, by: 'ratio' } },
    { title: 'generator late p99', figure: 'late_p99', digits: 2 },
    ...costColumns(bump.name),
  ],
  summary: [{ column: 'added p50', itself: 'added p50' }, { column: `p99 x ${bump.name}`, itself: 'p99' }],
  fits: (peer) => peer.intercepts,
  round: async (bench, contender) => {
    const target = { ...targetOf(contender, bench.origins, 'tls', 'tunnel'), tls: true };
    const job: OpenLoopJob = { target, path: '/item', bytes: smallBytes, rate, connections: 16, seconds: bench.seconds, keep_alive: true };
    const { result: { p50, p99, p999, late_p99 }, figures } = await measured(bench, contender, () => runLoad<OpenLoopResult>(bench.stage, 'open-loop', job));
    return { ...figures, p50, p99, p999, late_p99 };
  },
};

/** TLS that ends in the proxy, towards an origin whose certificate it verifies; 1 KiB. */
export const tlsWorks: readonly Work[] = [
  keepAlive('tls', `Intercepted HTTP/1.1, keep-alive, 64 connections, 1 KiB (${mitmproxy.name}: goal >= 15 x)`, ['--h1', '-c', '64', '-m', '1'], '>= 1.2'),
  keepAlive('h2', 'Intercepted HTTP/2, 8 connections with 8 streams each, 1 KiB', ['-c', '8', '-m', '8'], ''),
  handshakes,
  latency,
];
