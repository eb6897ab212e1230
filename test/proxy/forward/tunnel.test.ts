import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { until } from '../../helpers/wait.ts';
import { heldBytes, startOrigin, startWireProxy, TestBudget, type Origin, type Peer, type PermitFields, type WireProxy, type WireProxyOptions } from '../wire-world.ts';
import { hello, inRecords, serverName } from '../../helpers/tls-hello.ts';
import { Stop } from '../../../proxy/enforce/stop.ts';

const opened = 'HTTP/1.1 200 Connection Established\r\n\r\n';

async function tunnel(t: ExecutionContext, options: WireProxyOptions = {}, first: string = ''): Promise<{ readonly client: Peer; readonly origin: Origin; readonly peer: Peer; readonly proxy: WireProxy }> {
  const origin = await startOrigin(t);
  const proxy = await startWireProxy(t, options);
  const client = await proxy.connect();
  client.send(`CONNECT a.test:${origin.port} HTTP/1.1\r\nHost: a.test:${origin.port}\r\n\r\n${first}`);
  const peer = await origin.peer(0);
  await client.hears('\r\n\r\n');
  t.is(client.text, opened);
  client.forget();
  return { client, origin, peer, proxy };
}

test('bytes go both ways, those behind the CONNECT first', async (t) => {
  const { client, peer, proxy } = await tunnel(t, {}, 'early');
  await peer.hears('early');
  client.send(' more');
  await peer.hears('early more');
  peer.send('answer');
  await client.hears('answer');
  client.socket.end();
  await peer.ends();
  peer.socket.end();
  await client.ends();
  t.like(await proxy.outcome(0), { kind: 'completed', status: undefined, address: '127.0.0.1', bytes_out: 10, bytes_in: 6, code: undefined });
});

test('CONNECT of HTTP/1.0 works, and servers that speak first are heard', async (t) => {
  const origin = await startOrigin(t, (peer) => peer.send('220 ready\r\n'));
  const proxy = await startWireProxy(t);
  const client = await proxy.connect();
  client.send(`CONNECT a.test:${origin.port} HTTP/1.0\r\n\r\n`);
  await client.hears('220 ready\r\n');
  t.is(client.text, `${opened}220 ready\r\n`);
});

test('each direction is closed by itself', async (t) => {
  const { client, peer, proxy } = await tunnel(t);
  client.send('question');
  client.socket.end();
  await peer.hears('question');
  await peer.ends();
  peer.send('late answer');
  await client.hears('late answer');
  t.false(client.ended);
  peer.socket.end();
  await client.ends();
  t.like(await proxy.outcome(0), { kind: 'completed', bytes_out: 8, bytes_in: 11 });

  const other = await tunnel(t);
  other.peer.send('greeting');
  other.peer.socket.end();
  await other.client.ends();
  t.is(other.client.text, 'greeting');
  other.client.send('still here');
  await other.peer.hears('still here');
  other.client.socket.end();
  await other.peer.ends();
  t.like(await other.proxy.outcome(0), { kind: 'completed', bytes_out: 10, bytes_in: 8 });
});

test('tunnels are cut to the byte in each direction, and what was paid for arrives', async (t) => {
  for (const meter of ['bytes_in', 'bytes_out'] as const) {
    const budget = new TestBudget({ [meter]: 1000 });
    const { client, peer, proxy } = await tunnel(t, { permit: () => ({ spending: budget }) });
    const [from, to] = meter === 'bytes_in' ? [peer, client] : [client, peer];
    const data = randomBytes(5000);
    from.send(data.subarray(0, 600));
    await until('the first bytes', () => to.bytes.length === 600);
    from.send(data.subarray(600));
    await to.ends();
    t.deepEqual(to.bytes, data.subarray(0, 1000));
    await until('the end of the other side', () => from.ended || from.closed);
    t.like(await proxy.outcome(0), { kind: 'cut', code: 'budget_exhausted', meter, [meter]: 1000 });
  }
});

test('a tunnel waits for budget and goes on', async (t) => {
  const budget = new TestBudget({ bytes_in: 10 }, true);
  const { client, peer } = await tunnel(t, { permit: () => ({ spending: budget }) });
  peer.send('0123456789abcdef');
  peer.socket.end();
  await until('the question', () => budget.asked.length > 0);
  await client.hears('0123456789');
  t.is(client.text, '0123456789');
  budget.grant('bytes_in', 100);
  await client.ends();
  t.is(client.text, '0123456789abcdef');
});

test('a permit that is stopped closes both sides at once', async (t) => {
  const stop = new Stop();
  const { client, peer, proxy } = await tunnel(t, { permit: () => ({ stop }) });
  client.send('x');
  await peer.hears('x');
  const began = performance.now();
  stop.stop({ code: 'run_ended', detail: 'Cancelled.' });
  await client.ends();
  await peer.ends();
  t.true(performance.now() - began < 500);
  t.like(await proxy.outcome(0), { kind: 'cut', code: 'run_ended', bytes_out: 1 });
});

test('what can\'t be dialled or is no longer valid is refused in HTTP, and what was sent for the tunnel is no request', async (t) => {
  const origin = await startOrigin(t);
  const fields = [{}, { stillValid: () => false }];
  const proxy = await startWireProxy(t, { permit: () => fields.shift() ?? {} });
  for (const [port, answer] of [[1, /^HTTP\/1\.1 502 [^]*"code": "upstream_refused"/], [origin.port, /^HTTP\/1\.1 403 [^]*"code": "run_ended"/]] as const) {
    const client = await proxy.connect();
    client.send(`CONNECT a.test:${port} HTTP/1.1\r\nHost: a.test:${port}\r\n\r\nGET http://a.test:${origin.port}/early HTTP/1.1\r\nHost: a.test:${origin.port}\r\n\r\n`);
    await client.ends();
    t.regex(client.text, answer);
    t.is(client.text.match(/^HTTP\//gm)?.length, 1);
  }
  t.is(proxy.exchanges.length, 2);
  t.deepEqual(proxy.outcomes.map(({ kind, code }) => ({ kind, code })), [{ kind: 'failed', code: 'upstream_refused' }, { kind: 'cut', code: 'run_ended' }]);
  t.true(origin.peers.every((peer) => peer.text === ''));
});

test('a side that resets takes the other one along', async (t) => {
  const one = await tunnel(t);
  one.client.socket.resetAndDestroy();
  await until('the end at the origin', () => one.peer.closed || one.peer.ended);
  t.like(await one.proxy.outcome(0), { kind: 'failed', code: 'client_gone' });
  const other = await tunnel(t);
  other.peer.socket.resetAndDestroy();
  await until('the end at the client', () => other.client.closed || other.client.ended);
  t.like(await other.proxy.outcome(0), { kind: 'failed', code: 'upstream_reset' });
});

test('a client that goes away while its tunnel is dialled leaves nothing behind', async (t) => {
  let release: (() => void) | undefined;
  const origin = await startOrigin(t);
  const proxy = await startWireProxy(t, { permit: async (exchange) => { await new Promise<void>((resolve) => { release = resolve; exchange.gone.addEventListener('abort', () => resolve()); }); return {}; } });
  const client = await proxy.connect();
  client.send(`CONNECT a.test:${origin.port} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await until('the request', () => release !== undefined);
  client.socket.destroy();
  t.like(await proxy.outcome(0), { kind: 'failed', code: 'client_gone' });
  t.is(origin.peers.length, 0);
});

test('a silent tunnel is closed after its time, one with bytes is not', async (t) => {
  const { client, peer, proxy } = await tunnel(t, { forward: { tunnel_idle_ms: 1000 } });
  for (let count = 0; count < 15; count++) {
    client.forget();
    peer.send('.');
    await client.hears('.');
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  t.is(proxy.outcomes.length, 0);
  await client.ends();
  await peer.ends();
  t.like(await proxy.outcome(0), { kind: 'failed', code: 'upstream_timeout', bytes_in: 15 });
});

for (const direction of ['down', 'up'] as const) {
  test.serial(`30 MB ${direction} come unchanged, in little memory when the reader stops`, async (t) => {
    const { client, peer, proxy } = await tunnel(t);
    const [from, to] = direction === 'down' ? [peer, client] : [client, peer];
    const data = randomBytes(1024 * 1024);
    const rounds = 30;
    const sum = createHash('sha256');
    to.socket.removeAllListeners('data');
    let got = 0;
    to.socket.pause();
    let offset = 0;
    const total = data.length * rounds;
    const pump = (): void => {
      while (offset < total) {
        // Pieces of every size, so that reads begin and end anywhere.
        const piece = data.subarray(offset % data.length, Math.min(data.length, offset % data.length + 1 + (offset * 7919) % 70_000));
        offset += piece.length;
        if (!from.socket.write(piece)) return;
      }
      from.socket.end();
    };
    from.socket.on('drain', pump);
    const before = heldBytes();
    pump();
    let last = -1;
    await until('the sender to be held up', async () => { const same = last === offset; last = offset; await new Promise((resolve) => { setTimeout(resolve, 100); }); return same; });
    t.true(offset < total);
    t.true(heldBytes() - before < 4 * 1024 * 1024);
    to.socket.on('data', (bytes: Buffer) => { got += bytes.length; sum.update(bytes); });
    to.socket.resume();
    await until('all bytes', () => got === total && (to.ended || to.closed), 60_000);
    const expected = createHash('sha256');
    for (let round = 0; round < rounds; round++) expected.update(data);
    t.is(sum.digest('hex'), expected.digest('hex'));
    to.socket.end();
    t.like(await proxy.outcome(0), { kind: 'completed', [direction === 'down' ? 'bytes_in' : 'bytes_out']: total });
  });
}

test.serial('small pieces to a reader that stops come unchanged, though the read buffer is used again', async (t) => {
  const { client, peer } = await tunnel(t);
  client.socket.pause();
  const data = randomBytes(24 * 1024 * 1024);
  let sent = 0;
  // Each piece is a read of its own at the proxy, so that a write which is not through meets the next read.
  while (peer.socket.writableLength < 65_536 && sent < data.length) {
    const length = 700 + (sent % 1500);
    peer.socket.write(data.subarray(sent, sent + length));
    sent += length;
    await new Promise((resolve) => { setImmediate(resolve); });
  }
  t.true(sent < data.length);
  client.socket.resume();
  await until('all bytes', () => client.bytes.length === sent, 60_000);
  t.true(client.bytes.equals(data.subarray(0, sent)));
});

/** Through this tunnel only TLS for origin.test may pass. */
const tlsOnly = (fields: Partial<PermitFields> = {}) => (): Partial<PermitFields> => ({ raw: false, ...fields });
const named = (name: string): Buffer => hello({ extensions: [serverName(name)] });

test('TLS for the host of the CONNECT passes, however its hello is cut, and counts whole', async (t) => {
  for (const cut of ['whole', 'records', 'bytes'] as const) {
    const { client, peer, proxy } = await tunnel(t, { permit: tlsOnly() });
    const sent = cut === 'whole' ? named('Origin.Test') : inRecords(named('Origin.Test'), [11]);
    if (cut === 'whole') client.send(sent);
    else for (let at = 0; at < sent.length; at += cut === 'records' ? 16 : 1) {
      client.send(sent.subarray(at, at + (cut === 'records' ? 16 : 1)));
      await new Promise((resolve) => { setImmediate(resolve); });
    }
    await until('the hello', () => peer.bytes.length === sent.length);
    t.deepEqual(peer.bytes, sent);
    peer.send('answer');
    await client.hears('answer');
    client.socket.end();
    await peer.ends();
    peer.socket.end();
    t.like(await proxy.outcome(0), { kind: 'completed', bytes_out: sent.length, bytes_in: 6 });
  }
});

test('a real client and a real server speak TLS through it', async (t) => {
  const server = createTlsServer({ pskCallback: () => Buffer.alloc(16, 1), ciphers: 'PSK', maxVersion: 'TLSv1.2' }, (socket) => { socket.pipe(socket); });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => { server.close(); });
  const proxy = await startWireProxy(t, { permit: tlsOnly() });
  const { port } = server.address() as { readonly port: number };
  const client = await proxy.connect();
  client.send(`CONNECT origin.test:${port} HTTP/1.1\r\nHost: origin.test:${port}\r\n\r\n`);
  await client.hears(opened);
  client.socket.removeAllListeners('data');
  const secure = connectTls({ socket: client.socket, servername: 'origin.test', ciphers: 'PSK', maxVersion: 'TLSv1.2', pskCallback: () => ({ psk: Buffer.alloc(16, 1), identity: 'x' }), checkServerIdentity: () => undefined });
  await once(secure, 'secureConnect');
  secure.write('through');
  t.is(String((await once(secure, 'data'))[0]), 'through');
  secure.end();
  t.like(await proxy.outcome(0), { kind: 'completed' });
});

const alert = (code: number): Buffer => Buffer.from([21, 3, 3, 0, 2, 2, code]);
const cuts: readonly (readonly [string, Buffer, Partial<PermitFields>, string, Buffer])[] = [
  ['TLS for another host', named('other.test'), {}, 'core.host_mismatch', alert(112)],
  ['TLS for another host over records', inRecords(named('other.test'), [7]), {}, 'core.host_mismatch', alert(112)],
  ['TLS for another host under raw', named('other.test'), { raw: true }, 'core.host_mismatch', alert(112)],
  ['TLS that can\'t be read', hello({ extensions: [serverName('origin.test'), serverName('origin.test')] }), {}, 'bad_request', alert(50)],
  ['another protocol', Buffer.from('SSH-2.0-x\r\n'), {}, 'not_supported', Buffer.alloc(0)],
];
for (const [title, bytes, fields, code, answer] of cuts) {
  test(`${title} is cut before the origin has a byte of it`, async (t) => {
    const { client, peer, proxy } = await tunnel(t, { permit: tlsOnly(fields) });
    client.send(bytes);
    await client.ends();
    t.deepEqual(client.bytes, answer);
    await peer.ends();
    t.is(peer.bytes.length, 0);
    const outcome = await proxy.outcome(0);
    t.like(outcome, { kind: 'cut', code, bytes_out: 0, bytes_in: 0 });
    t.truthy(outcome.detail);
  });
}

test('a server that speaks first is heard once the hello is judged, and at once under raw', async (t) => {
  const { client, peer, proxy } = await tunnel(t, { permit: tlsOnly(), forward: { first_bytes_ms: 1000 } });
  peer.send('220 ready\r\n');
  await client.ends();
  t.is(client.text, '');
  t.like(await proxy.outcome(0), { kind: 'cut', code: 'not_supported', bytes_in: 0, first_byte_ms: undefined });

  const after = await tunnel(t, { permit: tlsOnly() });
  after.peer.send('220 ready\r\n');
  after.client.send(named('origin.test'));
  await after.client.hears('220 ready\r\n');

  const raw = await tunnel(t, { permit: tlsOnly({ raw: true }), forward: { first_bytes_ms: 500 } });
  raw.peer.send('220 ready\r\n');
  await raw.client.hears('220 ready\r\n');
  // Longer than first bytes may take elsewhere.
  await new Promise((resolve) => { setTimeout(resolve, 1500); });
  raw.client.send('EHLO x\r\n');
  await raw.peer.hears('EHLO x\r\n');
  t.is(raw.proxy.outcomes.length, 0);
});

test('a hello that does not arrive whole is cut after its time, also under raw, and one that breaks off at once', async (t) => {
  for (const raw of [false, true]) {
    const { client, peer, proxy } = await tunnel(t, { permit: tlsOnly({ raw }), forward: { first_bytes_ms: 1000 } });
    client.send(named('origin.test').subarray(0, 30));
    await client.ends();
    t.is(peer.bytes.length, 0);
    t.like(await proxy.outcome(0), { kind: 'cut', code: 'bad_request', bytes_out: 0 });
  }
  const broken = await tunnel(t, { permit: tlsOnly() });
  broken.client.send(named('origin.test').subarray(0, 30));
  broken.client.socket.end();
  t.like(await broken.proxy.outcome(0), { kind: 'cut', code: 'bad_request', bytes_out: 0 });
  const silent = await tunnel(t, { permit: tlsOnly() });
  silent.client.socket.end();
  t.like(await silent.proxy.outcome(0), { kind: 'failed', code: 'client_gone', bytes_out: 0 });
});

test('the held hello is cut to the byte as well', async (t) => {
  const sent = named('origin.test');
  const { client, peer, proxy } = await tunnel(t, { permit: tlsOnly({ spending: new TestBudget({ bytes_out: sent.length - 5 }) }) });
  client.send(sent.subarray(0, 20));
  client.send(sent.subarray(20));
  await peer.ends();
  t.deepEqual(peer.bytes, sent.subarray(0, -5));
  t.like(await proxy.outcome(0), { kind: 'cut', code: 'budget_exhausted', bytes_out: sent.length - 5 });
});

test('a stop cuts a tunnel that waits for its hello', async (t) => {
  const stop = new Stop();
  const { client, peer, proxy } = await tunnel(t, { permit: tlsOnly({ stop }) });
  client.send(named('origin.test').subarray(0, 20));
  await until('the hello at the proxy', () => client.socket.bytesWritten > 20);
  stop.stop({ code: 'run_ended', detail: 'Cancelled.' });
  await client.ends();
  await peer.ends();
  t.is(peer.bytes.length, 0);
  t.like(await proxy.outcome(0), { kind: 'cut', code: 'run_ended' });
});

test.serial('50 MB both ways at once come unchanged, in little memory', async (t) => {
  const { client, peer, proxy } = await tunnel(t, { permit: tlsOnly({ raw: true }) });
  const data = randomBytes(1024 * 1024);
  const rounds = 50;
  const sums = [client, peer].map(({ socket }) => {
    const sum = createHash('sha256');
    socket.removeAllListeners('data');
    socket.on('data', (bytes: Buffer) => { sum.update(bytes); });
    return sum;
  });
  const before = heldBytes();
  let most = 0;
  const pour = async ({ socket }: Peer): Promise<void> => {
    for (let round = 0; round < rounds; round++) {
      if (!socket.write(data)) await once(socket, 'drain');
      if (round % 10 === 5) most = Math.max(most, heldBytes() - before);
    }
    socket.end();
  };
  await Promise.all([pour(client), pour(peer)]);
  t.like(await proxy.outcome(0), { kind: 'completed', bytes_out: data.length * rounds, bytes_in: data.length * rounds });
  // The proxy is through once the kernel has all of it; the two ends read on.
  await Promise.all([client.ends(), peer.ends()]);
  // The proxy is through once the bytes are the kernel's; they still have to be read.
  await client.ends();
  await peer.ends();
  const expected = createHash('sha256');
  for (let round = 0; round < rounds; round++) expected.update(data);
  const digest = expected.digest('hex');
  t.deepEqual(sums.map((sum) => sum.digest('hex')), [digest, digest]);
  t.true(most < 8 * 1024 * 1024, `${most} bytes`);
});
