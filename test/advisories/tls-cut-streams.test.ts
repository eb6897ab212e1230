/**
 * Streams inside TLS that outlive what allowed them: a stream of events, a web socket, a long upload or one stream of many on an HTTP/2
 * connection that went on after the run had ended, after its host had been taken off the list, or past its budget, as the proxy had judged a tunnel and
 * not what is in it. And cuts that nobody could tell from an end: half an answer was taken for the whole.
 *
 * Here each exchange inside is stopped by itself, at once and to the byte, on both sides; the client sees that it was cut.
 */
import test, { type ExecutionContext } from 'ava';
import { once } from 'node:events';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import { createServer } from 'node:tls';
import { runPolicySchema } from '../../contracts/run-policy.ts';
import type { FakeRun } from '../helpers/fake-control-plane.ts';
import { head, RawClient } from '../helpers/proxy-worker.ts';
import { askHttp2, fileTlsScene, insideHttp1, insideHttp2, lookedInto, openTunnel, tryTls } from '../helpers/tls-scene.ts';
import { event, until, within } from '../helpers/wait.ts';
import { echo, frame, handshakeFields } from '../helpers/web-socket.ts';

/** What the origin has under way, by target. */
interface AtOrigin {
  readonly response: ServerResponse | Http2ServerResponse;
  /** Octets of the request's body. */
  received: number;
  whole: boolean;
  closed: boolean;
}
const under = new Map<string, AtOrigin>();

function respond(request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse): void {
  const one: AtOrigin = { response, received: 0, whole: false, closed: false };
  const target = request.url ?? '';
  under.set(target, one);
  response.on('close', () => { one.closed = true; });
  request.on('data', (bytes: Buffer) => { one.received += bytes.length; });
  request.on('end', () => { one.whole = true; });
  const writable = response as ServerResponse;
  if (target.startsWith('/quick')) writable.end('quick');
  if (target.startsWith('/events')) writable.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 0\n\n');
  if (target.startsWith('/download')) {
    writable.writeHead(200);
    const more = (): void => { while (!one.closed && writable.write(Buffer.alloc(16_384, 'x'))); };
    writable.on('drain', more);
    more();
  }
}

/** Web sockets that are closed, by target. */
const closedSockets = new Set<string>();

const scene = fileTlsScene({
  respond,
  upgrade: (request, socket, first) => {
    socket.on('close', () => { closedSockets.add(request.url ?? ''); });
    echo(request, socket, first);
  },
});
const host = (): string => `site.test:${scene().site.port}`;
let count = 0;
/** A target of its own, so that tests that run at the same time don't meet. */
const fresh = (kind: string): string => `/${kind}/${++count}`;

/** An exchange that does not end by itself. */
interface Open {
  /** Something passes both sides now. */
  readonly passes: () => Promise<void>;
  /** The client learns of its end: a close, or an answer that is a refusal. */
  readonly ended: () => Promise<unknown>;
  /** After its end: what the client could take for a whole answer, if anything. */
  readonly taken: () => string | undefined;
  /** The other side's end. */
  readonly gone: () => boolean;
}

const kinds: Readonly<Record<string, (t: ExecutionContext, run: FakeRun) => Promise<Open>>> = {
  'a stream of events in HTTP/1.1': async (t, run) => {
    const target = fresh('events');
    const client = await insideHttp1(t, scene(), run);
    await client.send(head(target, { host: host() })).until('the first event', (text) => text.includes('data: 0\n\n'));
    let sent = 0;
    return {
      passes: async () => {
        const text = `data: ${++sent}\n\n`;
        (under.get(target)!.response as ServerResponse).write(text);
        await client.until('an event', (all) => all.includes(text));
      },
      ended: () => client.ended(),
      taken: () => (client.text.endsWith('0\r\n\r\n') ? 'the last chunk' : undefined),
      gone: () => under.get(target)!.closed,
    };
  },
  'an upload in HTTP/1.1': async (t, run) => {
    const target = fresh('upload');
    const client = await insideHttp1(t, scene(), run);
    client.send(`${head(target, { method: 'POST', host: host(), fields: ['Transfer-Encoding: chunked'] })}1\r\nx\r\n`);
    await until('the beginning at the origin', () => under.get(target)?.received === 1);
    return {
      passes: async () => {
        const before = under.get(target)!.received;
        client.send('5\r\nhello\r\n');
        await until('more of it at the origin', () => under.get(target)!.received === before + 5);
      },
      ended: () => client.ended(),
      taken: () => (client.text.startsWith('HTTP/1.1 2') ? 'a success' : under.get(target)!.whole ? 'the whole upload' : undefined),
      gone: () => under.get(target)!.closed,
    };
  },
  'a web socket': async (t, run) => {
    const target = fresh('socket');
    const client = await insideHttp1(t, scene(), run);
    await client.send(head(target, { host: host(), fields: handshakeFields })).until('the switch', (text) => text.includes('101 Switching Protocols'));
    client.forget();
    let sent = 0;
    return {
      passes: async () => {
        const text = `message ${++sent}`;
        client.send(frame(text, true).toString('latin1'));
        await client.until('an echo', (all) => all.includes(text));
      },
      ended: () => client.ended(),
      taken: () => (client.text.includes('\x88') ? 'a close frame' : undefined),
      gone: () => closedSockets.has(target),
    };
  },
  'a stream of events in HTTP/2': async (t, run) => {
    const target = fresh('events');
    const stream = (await insideHttp2(t, scene(), run)).request({ ':path': target });
    stream.on('error', () => { /* `rstCode` says it. */ });
    let text = '';
    let ended = false;
    stream.setEncoding('utf8').on('data', (piece: string) => { text += piece; }).on('end', () => { ended = true; });
    const closed = event('the end of the stream', stream, 'close');
    closed.catch(() => { /* A neighbour's does not end. */ });
    await until('the first event', () => text.includes('data: 0\n\n'));
    let sent = 0;
    return {
      passes: async () => {
        const one = `data: ${++sent}\n\n`;
        (under.get(target)!.response as ServerResponse).write(one);
        await until('an event', () => text.includes(one));
      },
      ended: () => closed,
      taken: () => (ended && stream.rstCode === 0 ? 'an end of the stream' : undefined),
      gone: () => under.get(target)!.closed,
    };
  },
  'an upload in HTTP/2': async (t, run) => {
    const target = fresh('upload');
    const stream = (await insideHttp2(t, scene(), run)).request({ ':path': target, ':method': 'POST' }, { endStream: false });
    stream.on('error', () => { /* `rstCode` says it. */ });
    let status: number | undefined;
    const told = Promise.withResolvers<void>();
    stream.on('response', (fields) => {
      status = fields[':status'];
      told.resolve();
    }).on('close', () => { told.resolve(); });
    stream.resume().write('x');
    await until('the beginning at the origin', () => under.get(target)?.received === 1);
    return {
      passes: async () => {
        const before = under.get(target)!.received;
        stream.write('hello');
        await until('more of it at the origin', () => under.get(target)!.received === before + 5);
      },
      ended: () => told.promise,
      taken: () => (status !== undefined && status < 300 ? 'a success' : under.get(target)!.whole && (under.get(target)!.response as Http2ServerResponse).stream.rstCode === 0 ? 'the whole upload' : undefined),
      gone: () => under.get(target)!.closed,
    };
  },
};

const changes: readonly (readonly [title: string, change: () => Partial<FakeRun['snapshot']>, code: string])[] = [
  ['its run is cancelled', () => ({ state: 'Cancelled' }), 'run_ended'],
  ['its host is taken off the list', () => ({ policy: runPolicySchema.parse({ allow: [], allow_addresses: ['127.0.0.0/8'], intercept: true }) }), 'policy_denied'],
  ['its address is taken off the list', () => ({ policy: runPolicySchema.parse({ allow: [{ id: 'a', host: 'site.test', ports: [scene().site.port], methods: ['*'] }], intercept: true }) }), 'core.non_public_address'],
];
for (const [kind, open] of Object.entries(kinds)) {
  test(`${kind} inside TLS is cut at once when what allowed it has gone, such that it can't be taken for whole, and no other run's`, async (t) => {
    const { control } = scene().proxy;
    for (const [title, change, code] of changes) {
      const [run, neighbour] = [await lookedInto(scene()), await lookedInto(scene())];
      const [one, other] = [await open(t, run), await open(t, neighbour)];
      await one.passes();
      await other.passes();
      control.update(run, change());
      await control.acknowledgedAll();
      const acknowledged = performance.now();
      await within(`the end when ${title}`, one.ended());
      t.log(`${title}: closed ${(performance.now() - acknowledged).toFixed(1)} ms after it was acknowledged`);
      t.is(one.taken(), undefined, title);
      await until('the end at the origin', one.gone);
      await other.passes();
      await control.ingested('the cut', () => control.of(run, 'egress.cut').length === 1);
      t.is(control.of(run, 'egress.cut')[0]?.facts['code'], code, title);
      t.deepEqual(control.of(neighbour, 'egress.cut'), []);
    }
  });
}

/** Bytes that a run may have, beside what it takes to ask. */
const limit = 200_000;

async function exhausted(t: ExecutionContext, run: FakeRun, meter: 'bytes_in' | 'bytes_out'): Promise<void> {
  const { control } = scene().proxy;
  await control.ingested('the cut', () => control.of(run, 'egress.cut').length === 1);
  t.like(control.of(run, 'egress.cut')[0]?.facts, { code: 'budget_exhausted', meter });
  t.is(control.used(run, meter), limit);
}

test('a download in HTTP/1.1 is cut to the byte', async (t) => {
  const run = await lookedInto(scene(), { limits: { bytes_in: limit } });
  const client = await insideHttp1(t, scene(), run);
  const text = await client.send(head(fresh('download'), { host: host() })).ended();
  t.false(text.endsWith('0\r\n\r\n'), 'it can be told from a whole answer');
  const content = text.match(/x/g)?.length ?? 0;
  t.true(content > limit - 2000 && content <= limit, `${content} octets`);
  await exhausted(t, run, 'bytes_in');
});

test('a download in HTTP/2 is cut to the byte', async (t) => {
  const run = await lookedInto(scene(), { limits: { bytes_in: limit } });
  const { body, reset } = await askHttp2(await insideHttp2(t, scene(), run), { ':path': fresh('download') });
  t.not(reset, 0, 'it can be told from a whole answer');
  t.true(body.length > limit - 2000 && body.length <= limit, `${body.length} octets`);
  await exhausted(t, run, 'bytes_in');
});

/** An origin in TLS that reads and says nothing. */
async function listener(t: ExecutionContext): Promise<{ readonly port: number; readonly heard: () => number; readonly closed: () => boolean }> {
  let heard = 0;
  let closed = false;
  const server = createServer({ ...scene().authority.issue({ names: ['DNS:site.test'] }), ALPNProtocols: ['http/1.1'] }, (socket) => {
    socket.on('data', (bytes: Buffer) => { heard += bytes.length; }).on('close', () => { closed = true; }).on('error', () => { /* It is cut. */ });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return { port: (server.address() as AddressInfo).port, heard: () => heard, closed: () => closed };
}

for (const http2 of [false, true]) {
  test(`an upload in HTTP/${http2 ? '2' : '1.1'} is cut to the byte, as the origin reads it`, async (t) => {
    const origin = await listener(t);
    const to = `site.test:${origin.port}`;
    const run = await lookedInto(scene(), { port: origin.port, limits: { bytes_out: limit } });
    const body = 'y'.repeat(2 * limit);
    if (http2) {
      const { status, code, reset } = await askHttp2(await insideHttp2(t, scene(), run, { to }), { ':method': 'POST' }, body);
      t.true(code === 'budget_exhausted' || reset !== 0, `${status}`);
    } else {
      const client = await insideHttp1(t, scene(), run, { to });
      t.notRegex(await client.send(head('/', { method: 'POST', host: to, body })).ended(), /^HTTP\/1\.1 2/);
    }
    await until('the end at the origin', origin.closed);
    t.is(origin.heard(), limit);
    await exhausted(t, run, 'bytes_out');
  });
}

test('of 100 streams at once on one connection exactly as many reach the origin as the budget has requests', async (t) => {
  const run = await lookedInto(scene(), { limits: { requests: 20 } });
  const session = await insideHttp2(t, scene(), run);
  const kind = fresh('quick');
  const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => askHttp2(session, { ':path': `${kind}/${index}` })));
  t.is(answers.filter(({ status }) => status === 200).length, 20);
  t.is(answers.filter(({ code }) => code === 'budget_exhausted').length, 80);
  t.is(scene().site.requests.filter(({ target }) => target.startsWith(`${kind}/`)).length, 20);
  await scene().proxy.control.ingested('all ends', () => scene().proxy.control.of(run, 'egress.completed').length === 20);
  t.is(scene().proxy.control.used(run, 'requests'), 20);
});

/** Talks over a web socket, and says how much each side heard. */
async function talk(client: RawClient, messages: number): Promise<{ readonly out: number; readonly back: number }> {
  const [out, back] = [frame('m'.repeat(100), true), frame('m'.repeat(100), false)];
  for (let index = 1; index <= messages; index++) {
    client.send(out.toString('latin1'));
    await client.until('an echo', (text) => text.length >= index * back.length);
  }
  return { out: messages * out.length, back: messages * back.length };
}

test('a web socket inside TLS echoes, and is counted by its bytes', async (t) => {
  const { control } = scene().proxy;
  const run = await lookedInto(scene());
  const client = await insideHttp1(t, scene(), run);
  await client.send(head(fresh('socket'), { host: host(), fields: handshakeFields })).until('the switch', (text) => /101 Switching Protocols[^]*\r\n\r\n$/.test(text));
  client.forget();
  const { out, back } = await talk(client, 20);
  client.send(frame(Buffer.from([3, 232]), true, 8).toString('latin1'));
  await client.ended();
  await control.ingested('its end', () => control.of(run, 'egress.completed').length === 1);
  const { facts, payload } = control.of(run, 'egress.completed')[0]!;
  t.is(payload['status'], 101);
  const spent = facts['spent'] as { readonly bytes_in: number; readonly bytes_out: number };
  // The heads beside it.
  t.true(spent.bytes_out > out && spent.bytes_out < out + 600, `${spent.bytes_out} of ${out}`);
  t.true(spent.bytes_in > back && spent.bytes_in < back + 600, `${spent.bytes_in} of ${back}`);
});

for (const meter of ['bytes_in', 'bytes_out'] as const) {
  test(`a web socket inside TLS is cut to the byte (${meter})`, async (t) => {
    const run = await lookedInto(scene(), { limits: { [meter]: limit } });
    const client = await insideHttp1(t, scene(), run);
    await client.send(head(fresh('socket'), { host: host(), fields: handshakeFields })).until('the switch', (text) => text.includes('101 Switching Protocols'));
    const ended = client.ended();
    for (let index = 0; index < 10 && !client.closed; index++) client.send(frame('m'.repeat(30_000), true).toString('latin1'));
    const text = await ended;
    t.false(text.includes('\x88\x02'), 'no clean end');
    await exhausted(t, run, meter);
  });
}

/** Types of the records of TLS in what came (RFC 8446, section 5.1). */
function recordTypes(bytes: Buffer): readonly number[] {
  const types: number[] = [];
  for (let at = 0; at + 5 <= bytes.length; at += 5 + bytes.readUInt16BE(at + 3)) types.push(bytes[at]!);
  return types;
}

for (const channel of ['credentials', 'jail'] as const) {
  test(`a download to a client of HTTP/1.0, who knows its end by the close alone, does not end like a whole one (${channel})`, async (t) => {
    const alert = 21;
    const ends: boolean[] = [];
    for (const [kind, limits] of [['download', { bytes_in: limit }], ['quick', {}]] as const) {
      const run = await lookedInto(scene(), { channel, limits });
      const tunnel = await openTunnel(scene(), run);
      const [near, far] = duplexPair();
      const came: Buffer[] = [];
      let reset = false;
      tunnel.on('data', (bytes: Buffer) => { came.push(bytes); }).on('error', () => { reset = true; }).on('close', () => { far.end(); });
      tunnel.pipe(far).pipe(tunnel);
      // By 1.2 its alerts can be told from the rest.
      const { secure } = await tryTls(scene(), near as unknown as Socket, { maxVersion: 'TLSv1.2' });
      const closed = event('the close of the tunnel', tunnel, 'close');
      const client = new RawClient(secure).send(`GET ${fresh(kind)} HTTP/1.0\r\nHost: ${host()}\r\n\r\n`);
      await closed;
      const { text } = client;
      t.regex(text, /^HTTP\/1\.[01] 200 /);
      if (kind === 'download') {
        t.notRegex(text, /content-length|transfer-encoding/i);
        t.is(reset, channel === 'credentials');
        await exhausted(t, run, 'bytes_in');
      }
      ends.push(recordTypes(Buffer.concat(came)).includes(alert));
    }
    t.deepEqual(ends, [false, true], 'only the whole one ends with the alert that says so');
  });
}
