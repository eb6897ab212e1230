import test from 'ava';
import { once } from 'node:events';
import { connect as connectHttp2, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { createServer, type TLSSocket } from 'node:tls';
import type { SpendableMeter } from '../../contracts/budget.ts';
import type { RunSnapshot } from '../../contracts/data-plane.ts';
import type { FakeRun } from '../helpers/fake-control-plane.ts';
import { flags, frame, headers, number32, preface, reset, settings, types } from '../helpers/http2-frames.ts';
import type { Lifetime } from '../helpers/lifetime.ts';
import { connectTo, fileTlsScene, tryTls, type TlsScene } from '../helpers/tls-scene.ts';
import { until } from '../helpers/wait.ts';

/**
 * Clients and origins that misbehave by chance, on a whole worker, while runs are paused, changed and ended: what must hold whatever happens is that
 * each exchange has one record or two that fit, that no budget is overdrawn or lost, and that the worker lives. `SOAK_SEED` repeats a run as far as
 * the network does; `SOAK_MS` makes it longer.
 */
const seed = Number(process.env['SOAK_SEED'] ?? Date.now() % 1_000_000_000);
const lasts = Number(process.env['SOAK_MS'] ?? 6_000);

let state = seed;
/** Mulberry32. */
function random(): number {
  state = (state + 0x6d2b79f5) | 0;
  let bits = Math.imul(state ^ (state >>> 15), 1 | state);
  bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
  return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296;
}
const below = (most: number): number => Math.floor(random() * most);
const chance = (probability: number): boolean => random() < probability;
const oneOf = <T>(all: readonly T[]): T => all[below(all.length)]!;
const nothing = (): void => { /* What follows from it is what is looked at. */ };

type AnyRequest = IncomingMessage | Http2ServerRequest;
type AnyResponse = ServerResponse | Http2ServerResponse;

const behaviours: readonly ((request: AnyRequest, response: AnyResponse) => void)[] = [
  (request, response) => { request.resume(); response.end('hello\n'); },
  (request, response) => { request.resume(); response.end('x'.repeat(below(400_000))); },
  (request, response) => { request.on('end', () => { if (!response.destroyed) response.end('whole'); }).resume(); },
  (_request, response) => { setTimeout(() => { if (!response.destroyed) response.end('late'); }, below(300)); },
  (_request, response) => {
    const partial = response as ServerResponse;
    partial.writeHead(200, { 'content-length': '10' });
    partial.write('12345');
    setTimeout(() => { partial.destroy(); }, below(20));
  },
  (request) => { if ('stream' in request) request.stream.close(oneOf([0, 1, 2, 7, 8, 11, 13])); else request.destroy(); },
  (request, response) => { if ('stream' in request) request.stream.session?.goaway(0); request.resume(); response.end('bye'); },
  (request) => { if ('stream' in request) request.stream.session?.destroy(); else request.socket.destroy(); },
];

const scene = fileTlsScene({ respond: (request, response) => { oneOf(behaviours)(request, response); } });

/** Sends frames and heads by chance, in whole and in part. */
async function startRawOrigin(lifetime: Lifetime, { authority }: TlsScene): Promise<number> {
  const open = new Set<Socket>();
  const answers = [
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: 1\r\n\r\n',
    'HTTP/1.1 103 Early\r\nlink: a\r\n\r\nHTTP/1.1 204 No\r\n\r\n', 'HTTP/1.1 200 OK\r\n\r\nuntil close', 'no answer', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n',
  ];
  const cut = (bytes: Buffer, probability: number): Buffer => (chance(probability) ? bytes.subarray(0, below(bytes.length)) : bytes);
  const frames = (socket: TLSSocket): void => {
    let stream = 1;
    socket.write(settings());
    socket.on('data', () => {
      const head = headers(stream, [[':status', '200'], ...(chance(0.5) ? [['content-length', String(below(5))]] as const : [])], chance(0.3));
      const others = [
        frame(types.data, flags.end_stream, stream, Buffer.from('hey')), reset(stream, below(14)), frame(types.goaway, 0, 0, Buffer.concat([number32(below(stream + 1)), number32(below(14))])),
        settings([[3, below(3)]]), frame(types.ping, 0, 0, Buffer.alloc(8)), headers(stream, [['x-t', '1']]), headers(stream, [[':status', '103']], false),
        frame(types.window_update, 0, stream, number32(below(1_000_000))), Buffer.from('nothing of HTTP/2'),
      ];
      for (let left = below(5); left >= 0; left--) socket.write(cut(left > 2 ? head : oneOf(others), 0.05));
      if (chance(0.5)) stream += 2;
      if (chance(0.1)) socket.end();
    });
  };
  const server = createServer({ ...authority.issue({ names: ['DNS:site.test'] }), ALPNProtocols: ['h2', 'http/1.1'] }, (socket) => {
    socket.on('error', nothing);
    if (socket.alpnProtocol === 'h2') return frames(socket);
    socket.once('data', () => {
      socket.write(cut(Buffer.from(oneOf(answers)), 0.2));
      if (chance(0.5)) setTimeout(() => { if (chance(0.5)) socket.end(); else socket.destroy(); }, below(50));
    });
  });
  server.on('tlsClientError', nothing).on('connection', (socket: Socket) => { open.add(socket.on('error', nothing)); });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  lifetime.teardown(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

async function byFrames(secure: TLSSocket, authority: string): Promise<void> {
  secure.resume().write(Buffer.concat([preface, settings(chance(0.3) ? [[4, below(1000)]] : [])]));
  for (let stream = 1, left = below(30); left >= 0 && !secure.destroyed; left--, stream += 2) {
    const ends = chance(0.6);
    const head = headers(stream, [
      [':method', ends ? 'GET' : 'POST'], [':scheme', 'https'], [':authority', chance(0.95) ? authority : 'other.test'], [':path', `/${below(100)}`], ...(ends || chance(0.5) ? [] : [['content-length', '6']] as const),
    ], ends);
    secure.write(chance(0.02) ? head.subarray(0, below(head.length)) : head);
    if (!ends) secure.write(frame(types.data, chance(0.7) ? flags.end_stream : 0, stream, Buffer.from(chance(0.7) ? 'foobar' : 'x')));
    if (chance(0.3)) secure.write(reset(stream, below(14)));
    if (chance(0.05)) secure.write(headers(stream, [['x-sum', '1'], ['http2-settings', 'AA']]));
    if (chance(0.1)) await pause(below(60));
  }
  await pause(below(400));
}

async function byStreams(secure: TLSSocket, authority: string): Promise<void> {
  const session = connectHttp2(`https://${authority}`, { createConnection: () => secure });
  session.on('error', nothing);
  const all: Promise<unknown>[] = [];
  for (let left = below(25); left >= 0 && !session.destroyed && !session.closed; left--) {
    const body = chance(0.4);
    const stream = session.request({ ':path': `/${below(100)}`, ':method': body ? 'POST' : chance(0.2) ? 'HEAD' : 'GET', ...(chance(0.1) && { expect: '100-continue' }) }, { endStream: !body });
    stream.on('error', nothing);
    if (chance(0.9)) stream.resume();
    if (body) stream.write('x'.repeat(below(50_000)));
    if (body && chance(0.8)) stream.end('y');
    if (chance(0.2)) setTimeout(() => { stream.close(oneOf([0, 8, 2])); }, below(80));
    all.push(new Promise((resolve) => { stream.on('close', resolve); }));
    if (chance(0.2)) await pause(below(30));
  }
  await Promise.race([Promise.all(all), pause(below(1500))]);
  session.destroy();
}

async function byHttp1(secure: TLSSocket, authority: string): Promise<void> {
  secure.resume();
  for (let left = below(6); left >= 0 && !secure.destroyed; left--) {
    const text = `${chance(0.3) ? 'POST' : 'GET'} /${below(50)} HTTP/1.1\r\nHost: ${chance(0.95) ? authority : 'other.test'}\r\n${chance(0.3) ? 'Content-Length: 5\r\n\r\nhello' : '\r\n'}`;
    secure.write(chance(0.05) ? text.slice(0, below(text.length)) : text);
    await pause(below(200));
  }
}

/** One client, from its CONNECT to its end. */
async function act(place: TlsScene, run: FakeRun, port: number): Promise<void> {
  const [host, to] = chance(0.05) ? ['denied.test', 443] as const : ['site.test', port] as const;
  const { status, socket } = await connectTo(place, run, `${host}:${to}`);
  try {
    if (status !== 200) return;
    if (chance(0.1)) {
      socket.write(Buffer.from('16030100', 'hex'));
      return await pause(below(50));
    }
    if (chance(0.05)) setTimeout(() => { socket.resetAndDestroy(); }, below(30));
    const http2 = chance(0.7);
    const { secure, problem } = await tryTls(place, socket, { servername: host, ALPNProtocols: [http2 ? 'h2' : 'http/1.1'] });
    if (problem !== undefined) return;
    await (http2 ? oneOf([byFrames, byStreams]) : byHttp1)(secure, `${host}:${to}`);
    if (chance(0.5)) secure.end();
    await pause(20);
  } finally {
    socket.destroy();
  }
}

test(`whatever clients, origins and operators do, records fit, budgets are exact and the worker lives (seed ${seed})`, async (t) => {
  t.timeout(lasts + 110_000);
  const place = scene();
  const { control } = place.proxy;
  const raw = await startRawOrigin(t, place);
  const ports = [place.site.port, place.site.port, raw];
  const policy = { allow_addresses: ['127.0.0.0/8'], intercept: true };
  const allow = [{ host: 'site.test', ports: [...new Set(ports)], methods: ['*'] }];
  const limits: readonly Partial<Record<SpendableMeter, number>>[] = [{}, { requests: 80 }, { bytes_in: 400_000 }, { bytes_out: 100_000 }];
  const make = async (index: number): Promise<FakeRun> => {
    const run = control.createRun({ allow, policy, limits: limits[index]! });
    await control.acknowledgedAll();
    return run;
  };
  const runs = await Promise.all(limits.map((_limit, index) => make(index)));
  const over: FakeRun[] = [];
  const change = (index: number, to: Partial<RunSnapshot>): FakeRun => (runs[index] = control.update(runs[index]!, to));
  const end = performance.now() + lasts;
  const operate = async (): Promise<void> => {
    while (performance.now() < end) {
      await pause(500);
      const index = below(runs.length);
      const { snapshot } = runs[index]!;
      if (chance(0.4)) {
        over.push(change(index, { state: 'Cancelled' }));
        runs[index] = await make(index);
      } else if (chance(0.5)) {
        change(index, { policy: { ...snapshot.policy, allow: [] } });
        await pause(200);
        change(index, { policy: snapshot.policy });
      } else {
        change(index, { state: 'PausedCheckpoint' });
        await pause(100);
        change(index, { state: 'Active' });
      }
    }
  };
  const clients = Array.from({ length: 8 }, async (_none, index) => {
    while (performance.now() < end) await act(place, runs[index % runs.length]!, oneOf(ports));
  });
  await Promise.all([operate(), ...clients]);
  for (const index of runs.keys()) over.push(change(index, { state: 'Cancelled' }));
  await until('all that runs have not used', () => over.every((run) => control.of(run, 'allowance.returned').length > 0));

  const kinds = new Set<string>();
  for (const run of over) {
    const records = new Map<string, string[]>();
    for (const { type, facts } of control.of(run)) {
      const egress = facts['egress_id'];
      if (typeof egress === 'string' && type !== 'egress.retried') records.set(egress, [...records.get(egress) ?? [], type]);
    }
    for (const [egress, list] of records) {
      kinds.add(list.join());
      t.regex(list.join(), /^egress\.(?:denied|decided,egress\.(?:completed|failed|cut))$/, egress);
    }
    for (const meter of ['requests', 'bytes_in', 'bytes_out'] as const) {
      t.is(control.reserved(run, meter), 0, `${meter} of ${run.snapshot.run_id}`);
      t.true(control.used(run, meter) <= (run.snapshot.limits[meter] ?? Infinity), `${meter} of ${run.snapshot.run_id}`);
    }
  }
  // Or nothing was tried.
  t.deepEqual([...kinds].toSorted(), ['egress.decided,egress.completed', 'egress.decided,egress.cut', 'egress.decided,egress.failed', 'egress.denied']);
});
