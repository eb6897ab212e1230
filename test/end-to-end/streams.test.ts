/** Long and large exchanges through the real thing: what they cost in memory, how soon their bytes arrive, and how soon they end. */
import { readdir, readFile } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { startInstallation, type Installation } from '../helpers/installation.ts';
import { fileLifetime, type Lifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';
import { startOrigin, type Origin } from '../helpers/origin.ts';
import { head, RawClient } from '../helpers/proxy-worker.ts';
import { until, within } from '../helpers/wait.ts';
import { dnsZone } from '../helpers/world.ts';

const test = needs('world');

const megabyte = 1024 * 1024;
const size = 50 * megabyte;
/** The saw-tooth between two collections of garbage, of 30 MB and more: measured over ten such transfers it does not rise. */
const flat = 45 * megabyte;
/** What the kernel's buffers of four sockets may hold between who writes and who reads. */
const underWay = 25 * megabyte;
const block = Buffer.alloc(megabyte, 'x');

interface Run { readonly run_id: string; readonly authorization: string }
interface Actions { readonly items: readonly { readonly event: { readonly type: string }; readonly completion: { readonly type: string; readonly facts: { readonly code?: string } } | null }[] }

let installation: Installation;
let site: Origin;
let host: string;
/** Where tunnels go, and requests whose connection the test wants for itself. */
let raw: Origin;
let rawHost: string;
const waiting: ((socket: Socket) => void)[] = [];

const file = fileLifetime();
test.before(async () => {
  const zone = dnsZone(file);
  installation = await startInstallation(file);
  site = await startOrigin(file);
  raw = await startOrigin(file, { connection: (socket) => { waiting.shift()?.(socket); } });
  host = await zone.set('site', [site.address]);
  rawHost = await zone.set('raw', [raw.address]);
});

async function createRun(): Promise<Run> {
  const allow = [host, rawHost].flatMap((name, index) => [
    { id: `get-${index}`, host: name, ports: [80], methods: ['GET', 'POST'], path_prefix: null },
    { id: `tunnel-${index}`, host: name, ports: [80], methods: ['TUNNEL'], path_prefix: null },
  ]);
  const { status, body } = await installation.api<{ readonly run_id: string; readonly agent_token: string }>('POST', '/chat/run', { goal: 'streams', channel: 'credentials', policy: { allow }, budget: { bytes_out: 2 * size, bytes_in: 2 * size } });
  if (status !== 201) throw new Error(`POST /chat/run: ${status} ${JSON.stringify(body)}`);
  return { run_id: body.run_id, authorization: `Basic ${Buffer.from(`${body.run_id}:${body.agent_token}`).toString('base64')}` };
}

function client(lifetime: Lifetime): RawClient {
  const made = new RawClient({ port: installation.port });
  lifetime.teardown(() => made.socket.destroy());
  return made;
}

/** A connection that nobody reads but the test. */
function socketTo(lifetime: Lifetime): Socket {
  const socket = createConnection(installation.port, '127.0.0.1');
  socket.on('error', () => { /* 'close' says it. */ });
  lifetime.teardown(() => socket.destroy());
  return socket;
}

/** The next connection at the raw origin. */
function nextSocket(): Promise<Socket> {
  return within('a connection at the origin', new Promise((resolve) => { waiting.push(resolve); }));
}

/** Resident bytes of all proxy workers of this installation. */
async function resident(): Promise<number> {
  const processes = new Map(await Promise.all((await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(async (pid) => {
    const [command = '', status = ''] = await Promise.all(['cmdline', 'status'].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')));
    return [Number(pid), { command, parent: Number(/^PPid:\s*(\d+)/m.exec(status)?.[1] ?? 0), bytes: Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024 }] as const;
  })));
  const isOurs = (pid: number): boolean => pid === installation.up.pid || (processes.has(pid) && isOurs(processes.get(pid)!.parent));
  return [...processes].reduce((sum, [pid, { command, bytes }]) => sum + (command.includes('proxy/main.ts') && isOurs(pid) ? bytes : 0), 0);
}

/** How much the workers' memory grows while `work` is under way, at its peak. */
async function growth(work: () => Promise<unknown>): Promise<number> {
  const before = await resident();
  if (before === 0) throw new Error('No proxy worker was found in /proc.');
  let peak = before;
  let sampling = Promise.resolve();
  const timer = setInterval(() => {
    sampling = sampling.then(async () => { peak = Math.max(peak, await resident()); });
  }, 50);
  await work().finally(() => clearInterval(timer));
  await sampling;
  return peak - before;
}

/** Takes so many bytes, a quarter of a megabyte at a time with a rest after each: slower than who writes. Gives how many were under way at most. */
function takeSlowly(socket: Socket, from: Socket, bytes: number): Promise<number> {
  return within(`${bytes} bytes`, new Promise((resolve, reject) => {
    let taken = 0;
    let most = 0;
    let sinceRest = 0;
    socket.on('data', (chunk: Buffer) => {
      taken += chunk.length;
      sinceRest += chunk.length;
      most = Math.max(most, from.bytesWritten - taken);
      if (taken >= bytes) return resolve(most);
      if (sinceRest < megabyte / 4) return;
      sinceRest = 0;
      socket.pause();
      setTimeout(() => socket.resume(), 8);
    });
    socket.on('close', () => reject(new Error(`Closed after ${taken} of ${bytes} bytes.`)));
  }), 60_000);
}

/** Writes so many bytes as fast as the other side takes them. */
async function give(socket: Socket, bytes: number): Promise<void> {
  for (let left = bytes; left > 0; left -= block.length) {
    if (!socket.write(block.subarray(0, Math.min(left, block.length)))) await within('room for more', new Promise((resolve) => { socket.once('drain', resolve); }), 60_000);
  }
}

test.serial('200 idle connections beside a busy one: each of its answers is right, and not much later', async (t) => {
  const busy = async (): Promise<number> => {
    // A run of its own each time: the usual budget is 1,000 requests.
    const run = await createRun();
    const one = client(t);
    const began = performance.now();
    for (let index = 0; index < 300; index++) {
      const answer = await one.send(head(`http://${host}/busy-${index}`, { authorization: run.authorization })).until(`answer ${index}`, (text) => text.endsWith('0\r\n\r\n'));
      if (!answer.startsWith('HTTP/1.1 200 ')) throw new Error(answer);
      one.forget();
    }
    one.socket.destroy();
    return performance.now() - began;
  };
  await busy();
  const alone = await busy();
  const run = await createRun();
  const idle = await Promise.all(Array.from({ length: 200 }, async (_, index) => {
    const one = client(t);
    if (index % 2 === 0) await one.send(head(`http://${host}/idle-${index}`, { authorization: run.authorization })).until('an answer', (text) => text.endsWith('0\r\n\r\n'));
    else await one.send(head(`${host}:80`, { method: 'CONNECT', authorization: run.authorization })).until('a tunnel', (text) => text.startsWith('HTTP/1.1 200 ') && text.includes('\r\n\r\n'));
    return one;
  }));
  const beside = await busy();
  t.log(`300 requests: ${alone.toFixed(0)} ms alone, ${beside.toFixed(0)} ms beside 200 idle connections`);
  t.true(beside < Math.max(alone, 100) * 10, `${alone} ms alone, ${beside} ms beside 200 idle connections`);
  t.true(idle.every(({ closed }) => !closed), 'an idle connection was closed');
  t.is(site.requests.filter(({ target }) => target.startsWith('/busy-')).length, 900);
});

test.serial('50 MB down to a slow reader: all of it arrives, and memory stays flat', async (t) => {
  // What the first large exchange needs once is no growth by size.
  for (const bytes of [16 * megabyte, size]) {
    const run = await createRun();
    let most = 0;
    const grown = await growth(async () => {
      const arriving = nextSocket();
      const socket = socketTo(t);
      socket.write(head(`http://${rawHost}/down`, { authorization: run.authorization }));
      const origin = await arriving;
      const taking = takeSlowly(socket, origin, bytes);
      origin.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`);
      await give(origin, bytes);
      most = await taking;
      socket.destroy();
    });
    t.log(`${bytes / megabyte} MB down: the workers grew by ${(grown / megabyte).toFixed(1)} MB at most, ${(most / megabyte).toFixed(1)} MB were under way`);
    t.true(most < underWay, `${most}`);
    if (bytes === size) t.true(grown < flat, `${grown}`);
  }
});

test.serial('50 MB up to a slow reader: all of it arrives, and memory stays flat', async (t) => {
  for (const bytes of [16 * megabyte, size]) {
    const run = await createRun();
    let most = 0;
    const grown = await growth(async () => {
      const arriving = nextSocket();
      const socket = socketTo(t);
      socket.write(head(`http://${rawHost}/up`, { method: 'POST', authorization: run.authorization, fields: [`Content-Length: ${bytes}`] }));
      const origin = await arriving;
      const taking = takeSlowly(origin, socket, bytes);
      await give(socket, bytes);
      most = await taking;
      socket.destroy();
    });
    t.log(`${bytes / megabyte} MB up: the workers grew by ${(grown / megabyte).toFixed(1)} MB at most, ${(most / megabyte).toFixed(1)} MB were under way`);
    t.true(most < underWay, `${most}`);
    if (bytes === size) t.true(grown < flat, `${grown}`);
  }
});

test.serial('Server-sent events arrive one by one: each before the next is sent', async (t) => {
  const run = await createRun();
  const arriving = nextSocket();
  const one = client(t).send(head(`http://${rawHost}/events`, { authorization: run.authorization, fields: ['Accept: text/event-stream'] }));
  const origin = await arriving;
  origin.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
  const gaps: number[] = [];
  for (let index = 0; index < 50; index++) {
    const event = `data: ${index}\n\n`;
    const began = performance.now();
    origin.write(`${event.length.toString(16)}\r\n${event}\r\n`);
    await one.until(`event ${index}`, (text) => text.includes(event));
    gaps.push(performance.now() - began);
  }
  origin.end('0\r\n\r\n');
  t.is(gaps.length, 50);
  t.log(`from origin to client: median ${gaps.toSorted((a, b) => a - b)[25]?.toFixed(2)} ms, longest ${Math.max(...gaps).toFixed(2)} ms`);
});

interface Cancelled {
  readonly title: string;
  /** Brings the exchange to where it is to be cancelled. Gives the client's connection and the origin's. */
  readonly start: (t: Lifetime, run: Run) => Promise<readonly [Socket, Socket]>;
  /** Its client has no byte of an answer yet, and so is told why. */
  readonly refused?: true;
}

const cancelled: readonly Cancelled[] = [
  {
    title: 'an upload',
    start: async (t, run) => {
      const arriving = nextSocket();
      const one = client(t).send(head(`http://${rawHost}/up`, { method: 'POST', authorization: run.authorization, fields: ['Content-Length: 1000000'] }) + 'x'.repeat(1000));
      const origin = await arriving;
      await until('a part of it', () => origin.bytesRead > 1000);
      return [one.socket, origin];
    },
  },
  {
    title: 'a download whose reader is slow',
    start: async (t, run) => {
      const arriving = nextSocket();
      const one = client(t).send(head(`http://${rawHost}/down`, { authorization: run.authorization }));
      const origin = await arriving;
      origin.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      origin.write(block);
      await one.until('a part of it', (text) => text.length > 1000);
      return [one.socket, origin];
    },
  },
  {
    title: 'server-sent events',
    start: async (t, run) => {
      const arriving = nextSocket();
      const one = client(t).send(head(`http://${rawHost}/events`, { authorization: run.authorization }));
      const origin = await arriving;
      origin.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n');
      await one.until('an event', (text) => text.includes('data: 1\n\n'));
      return [one.socket, origin];
    },
  },
  {
    title: 'an idle tunnel',
    start: async (t, run) => {
      const arriving = nextSocket();
      const one = client(t).send(head(`${rawHost}:80`, { method: 'CONNECT', authorization: run.authorization }));
      await one.until('the tunnel', (text) => text.includes('\r\n\r\n'));
      one.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      const origin = await arriving;
      await until('its bytes', () => origin.bytesRead > 0);
      return [one.socket, origin];
    },
  },
  {
    title: 'an exchange that waits for its first byte',
    start: async (t, run) => {
      const arriving = nextSocket();
      const one = client(t).send(head(`http://${rawHost}/`, { authorization: run.authorization }));
      const origin = await arriving;
      await until('the request', () => origin.bytesRead > 0);
      return [one.socket, origin];
    },
    refused: true,
  },
];

for (const { title, start, refused } of cancelled) {
  test.serial(`Cancelled in the middle of ${title}: both sides hear of it at once, and it is recorded as cut`, async (t) => {
    const run = await createRun();
    const sockets = await start(t, run);
    const [client, origin] = sockets;
    let told = '';
    client.on('data', (text: string) => { told += text; });
    const ends = [[client, refused === true ? ['data'] : ['end', 'close']], [origin, ['end', 'close']]] as const;
    const heard = ends.map(([socket, names]) => new Promise<number>((resolve) => {
      for (const name of names) socket.once(name, () => resolve(performance.now()));
      socket.resume();
    }));
    const { status } = await installation.api('POST', `/chat/run/${run.run_id}/cancel`, {});
    const acknowledged = performance.now();
    t.is(status, 200);
    const took = (await within('both ends', Promise.all(heard))).map((at) => at - acknowledged);
    t.log(`client ${took[0]?.toFixed(1)} ms, origin ${took[1]?.toFixed(1)} ms after the cancel was acknowledged`);
    t.true(Math.max(...took) < 2000);
    if (refused === true) t.regex(told, /^HTTP\/1\.1 403 [^]*"code": "run_ended"/);
    else t.notRegex(told, /0\r\n\r\n$/);
    const recorded = await until('its record', async () => {
      const { body } = await installation.api<Actions>('GET', `/chat/run/${run.run_id}/actions`);
      return body.items.find(({ completion }) => completion !== null);
    });
    t.is(recorded.completion?.type, 'egress.cut');
    t.is(recorded.completion?.facts.code, 'run_ended');
  });
}

test.serial('None of this has ended a worker or cost others anything', async (t) => {
  const run = await createRun();
  const one = client(t);
  const answer = await one.send(head(`http://${host}/after`, { authorization: run.authorization })).until('an answer', (text) => text.endsWith('0\r\n\r\n'));
  t.true(answer.startsWith('HTTP/1.1 200 '));
  t.false(/uncaught|unhandled/.test(installation.up.stderr()), installation.up.stderr());
});
