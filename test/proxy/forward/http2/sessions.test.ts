import test from 'ava';
import { once } from 'node:events';
import { setImmediate as immediately } from 'node:timers/promises';
import { createServer as createSecureHttp1 } from 'node:https';
import type { Outcome } from '../../../../proxy/enforce/permit.ts';
import { serialiseRequest } from '../../../../proxy/wire/serialise.ts';
import { codes, flags, frame, headers, number32, reset, settings, types } from '../../../helpers/http2-frames.ts';
import type { Lifetime } from '../../../helpers/lifetime.ts';
import { listen } from '../../../helpers/listen.ts';
import { TestAuthority } from '../../../helpers/test-authority.ts';
import { until } from '../../../helpers/wait.ts';
import { startHttp2Origin, startHttp2World, startRawOrigin, type NodeOrigin, type RawPeer, type Running } from './world.ts';
import { onHeads, startOrigin, TestBudget } from '../../wire-world.ts';

const ok = [[':status', '200']] as const;
const answerWith = (peer: RawPeer, stream: number, text: string): void => peer.send(headers(stream, ok, false), frame(types.data, flags.end_stream, stream, Buffer.from(text)));
const answer = (peer: RawPeer, stream: number): void => answerWith(peer, stream, 'ok');
const goaway = (last: number, code: number = codes.no_error): Buffer => frame(types.goaway, 0, 0, Buffer.concat([number32(last), number32(code)]));
const heads = (peer: RawPeer | undefined): number => peer?.frames.filter(({ type }) => type === types.headers).length ?? 0;

test('of 200 requests at once on one connection as many reach the origin as the budget has heads for', async (t) => {
  let seen = 0;
  const origin = await startHttp2Origin(t, (stream) => {
    seen++;
    stream.respond({ ':status': 200 });
    stream.end('ok');
  });
  const { start } = startHttp2World(t, { forward: { sessions_per_key: 1, session_streams: 1_000 } });
  const probe = start(origin.port, { path: '/000' });
  t.like(await probe.outcome, { kind: 'completed' });
  const length = serialiseRequest(probe.client.head, '/000', `origin.test:${origin.port}`).length;
  const spending = new TestBudget({ bytes_out: 100 * length });
  const all = Array.from({ length: 200 }, (_, index) => start(origin.port, { path: `/${String(index).padStart(3, '0')}`, permit: { spending } }));
  const outcomes = await Promise.all(all.map(({ outcome }) => outcome));
  t.is(outcomes.filter(({ kind }) => kind === 'completed').length, 100);
  t.is(outcomes.filter(({ kind, code }) => kind === 'cut' && code === 'budget_exhausted').length, 100);
  t.is(seen, 101);
  t.is(origin.sessions.length, 1);
  t.is(outcomes.reduce((sum, { bytes_out }) => sum + bytes_out, 0), 100 * length);
});

test('no more streams than the origin allows are open on a connection, and the rest wait for one', async (t) => {
  const open = new Map<number, number>();
  let most = 0;
  const origin = await startHttp2Origin(t, (stream, _fields, session) => {
    open.set(session, (open.get(session) ?? 0) + 1);
    most = Math.max(most, open.get(session)!);
    setImmediate(() => {
      stream.respond({ ':status': 200 });
      stream.end('ok');
    });
    stream.on('close', () => { open.set(session, open.get(session)! - 1); });
  }, { settings: { maxConcurrentStreams: 3 } });
  const { start } = startHttp2World(t, { forward: { sessions_per_key: 2 } });
  const outcomes = await Promise.all(Array.from({ length: 40 }, () => start(origin.port).outcome));
  t.true(outcomes.every(({ kind }) => kind === 'completed'));
  t.true(most <= 3, String(most));
  t.is(origin.sessions.length, 2);
});

test('an origin that allows no streams is waited for, and not dialled again and again', async (t) => {
  const origin = await startRawOrigin(t, answer, settings([[3, 0]]));
  const { start } = startHttp2World(t, { forward: { first_byte_ms: 600 } });
  // The first is sent before the SETTINGS are known.
  const first = start(origin.port);
  await first.outcome;
  const waits = [start(origin.port), start(origin.port)];
  t.like(await waits[0]!.outcome, { kind: 'failed', code: 'upstream_timeout' });
  t.like(await waits[1]!.outcome, { kind: 'failed', code: 'upstream_timeout' });
  t.is(origin.peers.length, 1);
  const patient = start(origin.port);
  origin.peers[0]!.send(settings([[3, 5]]));
  t.like(await patient.outcome, { kind: 'completed' });
  t.is(origin.peers.length, 1);
});

test('neither another key nor a permit for other addresses gets a connection', async (t) => {
  const origin = await startHttp2Origin(t, (stream) => {
    stream.respond({ ':status': 200 });
    stream.end();
  });
  const { start } = startHttp2World(t);
  await start(origin.port).outcome;
  t.like(await start(origin.port, { permit: { pool_key: 'run_other' } }).outcome, { kind: 'completed' });
  t.is(origin.sessions.length, 2);
  const elsewhere = start(origin.port, { permit: { addresses: [{ address: '127.0.0.9', family: 4, address_class: 'loopback' }] } });
  t.like(await elsewhere.outcome, { kind: 'failed', code: 'upstream_refused' });
  t.like(await start(origin.port).outcome, { kind: 'completed' });
  t.is(origin.sessions.length, 2);
});

test('one dial serves all that wait for it, whoever of them leaves, and fails for all', async (t) => {
  const peers: RawPeer[] = [];
  // Takes connections, and says SETTINGS only when told.
  const origin = await startRawOrigin(t, answer, Buffer.alloc(0));
  const { start } = startHttp2World(t);
  const first = start(origin.port, { path: '/1' });
  const others = [start(origin.port, { path: '/2' }), start(origin.port, { path: '/3' })];
  first.client.leave();
  t.like(await first.outcome, { kind: 'failed', code: 'client_gone', bytes_out: 0 });
  others[1]!.stop.stop({ code: 'run_ended', detail: 'Over.' });
  t.like(await others[1]!.outcome, { kind: 'cut', code: 'run_ended', bytes_out: 0 });
  t.like(others[1]!.client.refusal, { code: 'run_ended' });
  await until('the connection', () => origin.peers.length > 0);
  peers.push(...origin.peers);
  peers[0]!.send(settings());
  t.like(await others[0]!.outcome, { kind: 'completed' });
  t.is(origin.peers.length, 1);
  t.is(heads(peers[0]), 1);

  const { port } = await startOrigin(t);
  const nobody = port === 1 ? 2 : 1;
  const all = [start(nobody), start(nobody)];
  for (const { outcome } of all) t.like(await outcome, { kind: 'failed', code: 'upstream_refused' });
});

test('who waits for a new connection while an old one closes is forgotten when it leaves', async (t) => {
  const origin = await startRawOrigin(t, (peer, stream, connection) => {
    if (connection > 0) return;
    // Does not hear that the other side has closed until it is told to.
    peer.socket.pause();
    peer.send(settings(), goaway(stream), headers(stream, ok));
  }, Buffer.alloc(0));
  const { start } = startHttp2World(t);
  await start(origin.port).outcome;
  for (let turn = 0; turn < 10; turn++) await immediately();
  // One stream goes while nothing is known of the origin.
  const [served, waits] = [start(origin.port), start(origin.port)];
  await until('the head on another connection', () => heads(origin.peers[1]) === 1);
  const [old] = origin.peers;
  old!.socket.resume();
  await until('the end of the old connection', () => old!.closed);
  for (let turn = 0; turn < 10; turn++) await immediately();
  waits.client.leave();
  t.like(await waits.outcome, { code: 'client_gone', bytes_out: 0 });
  origin.peers[1]!.send(settings());
  answer(origin.peers[1]!, 1);
  t.like(await served.outcome, { kind: 'completed' });
  t.like(await start(origin.port, { permit: { stillValid: () => false } }).outcome, { kind: 'cut' });
  t.is(waits.budget.spent.bytes_out, 0);
  t.is(origin.peers.length, 2);
});

test('an origin that takes leave and does not close keeps no connection open', async (t) => {
  const peers: RawPeer[] = [];
  const origin = await startRawOrigin(t, (peer, stream) => {
    peers.push(peer);
    // It hears nothing any more, so it does not close when the other side does.
    peer.socket.pause();
    peer.send(goaway(stream), headers(stream, ok));
  });
  const { start } = startHttp2World(t, { forward: { linger_ms: 100 } });
  for (let turn = 0; turn < 3; turn++) t.like(await start(origin.port).outcome, { kind: 'completed' });
  t.is(peers.length, 3);
  const ends = peers.map(({ socket }) => once(socket, 'error'));
  await until('the other side to be gone for good', () => {
    // Who is reset hears it by writing.
    for (const peer of peers) peer.send(settings());
    return Promise.race([Promise.all(ends).then(() => true), immediately(false)]);
  });
  t.pass();
});

test('a connection that nobody uses is closed after a while, and with the worker', async (t) => {
  const origin = await startHttp2Origin(t, (stream) => {
    stream.respond({ ':status': 200 });
    stream.end();
  });
  const { start } = startHttp2World(t, { forward: { pooled_ms: 300 } });
  await start(origin.port).outcome;
  await until('the close', () => origin.sessions[0]!.destroyed);
  const { start: another, forwarder } = startHttp2World(t);
  await another(origin.port).outcome;
  t.is(origin.sessions.length, 2);
  forwarder.close();
  await until('the close', () => origin.sessions[1]!.destroyed);
});

test('what a GOAWAY leaves out is asked again once, on another connection, at the price of a try', async (t) => {
  let tries = 0;
  const origin = await startRawOrigin(t, (peer, stream, connection) => {
    if (connection > 0) return answerWith(peer, stream, 'second');
    if (stream === 3) {
      peer.send(goaway(1));
      answerWith(peer, 1, 'first');
    }
  });
  const { start } = startHttp2World(t);
  const first = start(origin.port, { path: '/1' });
  await until('the first head', () => heads(origin.peers[0]) === 1);
  const anotherTry = (): Promise<boolean> => {
    tries++;
    return Promise.resolve(true);
  };
  const second = start(origin.port, { path: '/2', method: 'DELETE', permit: { anotherTry } });
  t.like(await first.outcome, { kind: 'completed' });
  t.is(first.client.text, 'first');
  const outcome = await second.outcome;
  t.like(outcome, { kind: 'completed', bytes_out: 2 * serialiseRequest(second.client.head, '/2', `origin.test:${origin.port}`).length });
  t.is(second.client.text, 'second');
  t.is(tries, 1);
});

interface Again {
  readonly title: string;
  readonly method: string;
  readonly body?: boolean;
  readonly allowed?: boolean;
  readonly code: number;
  readonly tries: number;
  readonly outcome: Partial<Outcome>;
}
const again: readonly Again[] = [
  { title: 'refused once', method: 'POST', code: codes.refused_stream, tries: 1, outcome: { kind: 'completed' } },
  { title: 'refused, with a body', method: 'PUT', body: true, code: codes.refused_stream, tries: 0, outcome: { kind: 'failed', code: 'upstream_reset' } },
  { title: 'refused, without budget for another try', method: 'GET', allowed: false, code: codes.refused_stream, tries: 1, outcome: { kind: 'failed', code: 'upstream_reset' } },
  { title: 'reset otherwise', method: 'GET', code: codes.cancel, tries: 0, outcome: { kind: 'failed', code: 'upstream_reset' } },
];
for (const { title, method, body = false, allowed = true, code, tries, outcome } of again) {
  test(`a request that is ${title} is sent ${tries === 1 && allowed ? 'again' : 'once'}`, async (t) => {
    let asked = 0;
    const origin = await startRawOrigin(t, (peer, stream) => { if (stream === 1) peer.send(reset(stream, code)); else answer(peer, stream); });
    const { start } = startHttp2World(t);
    const anotherTry = (): Promise<boolean> => {
      asked++;
      return Promise.resolve(allowed);
    };
    const running = start(origin.port, { method, framing: body ? { kind: 'chunked' } : { kind: 'none' }, permit: { anotherTry } });
    t.like(await running.outcome, outcome);
    t.is(asked, tries);
  });
}

test('an origin that refuses again is believed', async (t) => {
  const origin = await startRawOrigin(t, (peer, stream) => { peer.send(reset(stream, codes.refused_stream)); });
  const { start } = startHttp2World(t);
  const { client, outcome } = start(origin.port);
  t.like(await outcome, { kind: 'failed', code: 'upstream_reset' });
  t.regex(client.refusal?.detail ?? '', /REFUSED_STREAM/);
  t.is(heads(origin.peers[0]), 2);
});

test('a connection that died unseen is replaced for what may be sent twice, and for nothing else', async (t) => {
  const origin = await startRawOrigin(t, (peer, stream, connection) => { if (stream === 3 && connection < 2) peer.socket.destroy(); else answer(peer, stream); });
  const { start } = startHttp2World(t);
  await start(origin.port).outcome;
  t.like(await start(origin.port).outcome, { kind: 'completed' });
  t.is(origin.peers.length, 2);
  t.like(await start(origin.port, { method: 'POST' }).outcome, { kind: 'failed', code: 'upstream_reset' });
  t.is(origin.peers.length, 2);
});

test('nobody is given a connection on which an answer did not come in time', async (t) => {
  const origin = await startRawOrigin(t, (peer, stream, connection) => { if (connection > 0) answer(peer, stream); });
  const { start } = startHttp2World(t, { forward: { first_byte_ms: 300 } });
  const { client, outcome } = start(origin.port);
  t.like(await outcome, { kind: 'failed', code: 'upstream_timeout', detail: 'The other side sent nothing for 0.3 s.' });
  t.regex(client.refusal?.detail ?? '', /sent nothing for 0.3 s/);
  await until('the reset', () => origin.peers[0]!.resetOf(1) === codes.cancel);
  t.like(await start(origin.port).outcome, { kind: 'completed' });
  t.is(origin.peers.length, 2);
});

test('an origin that wants HTTP/1.1 gets it where nothing is lost by that', async (t) => {
  let connections = 0;
  const origin = await startOrigin(t, (peer) => {
    if (connections++ === 0) {
      peer.socket.once('data', () => { peer.send(Buffer.concat([settings(), reset(1, 13)])); });
    } else {
      onHeads(peer, () => { peer.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'); });
    }
  });
  const { start } = startHttp2World(t);
  const { client, outcome } = start(origin.port);
  const result = await outcome;
  t.like(result, { kind: 'completed', status: 200, http_version: '1.1' });
  t.is(result.bytes_out, 2 * serialiseRequest(client.head, '/', `origin.test:${origin.port}`).length);
  t.is(client.text, 'ok');
});

/** An origin that speaks HTTP/1.1 alone, and says so in TLS; counts its connections. */
async function startHttp1Origin(lifetime: Lifetime): Promise<{ readonly port: number; readonly ca: string; readonly seen: string[]; readonly connections: () => number }> {
  const authority = await TestAuthority.make(lifetime);
  const { key, cert } = authority.issue({ names: ['DNS:origin.test'] });
  const seen: string[] = [];
  let connections = 0;
  const server = createSecureHttp1({ key, cert, ALPNProtocols: ['http/1.1'] }, (request, response) => {
    let body = '';
    request.on('data', (bytes: Buffer) => { body += bytes.toString(); });
    request.on('end', () => {
      seen.push(`${request.method} ${request.url} ${request.headers['transfer-encoding'] ?? ''} ${request.headers.host} ${body} ${JSON.stringify(request.trailers)}`);
      if (request.url === '/204' || request.url === '/304') return void response.writeHead(Number(request.url.slice(1))).end();
      if (request.url === '/hints') response.writeEarlyHints({ link: '</a>; rel=preload' });
      if (request.url === '/trailers') {
        response.writeHead(200, { trailer: 'x-t' });
        response.write('chunk');
        response.addTrailers({ 'x-t': '1' });
        return void response.end();
      }
      response.writeHead(200, { 'content-length': '5', 'x-a': '1' }).end(request.method === 'HEAD' ? undefined : 'hello');
    });
  });
  server.on('secureConnection', () => { connections++; });
  const port = await listen(server, () => { server.listen(0, '127.0.0.1'); });
  lifetime.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port, ca: authority.cert, seen, connections: () => connections };
}

test('an origin that speaks HTTP/1.1 alone is spoken to in it, on what was dialled, and remembered', async (t) => {
  const origin = await startHttp1Origin(t);
  const { start, forwarder } = startHttp2World(t, { upstreamCa: origin.ca });
  const permit = { scheme: 'https' } as const;
  const first = start(origin.port, { permit });
  t.like(await first.outcome, { kind: 'completed', status: 200, http_version: '1.1', tls: { version: 'TLSv1.3' } });
  t.is(first.client.text, 'hello');
  t.like(first.client.answer, { version: '1.1', framing: { kind: 'length', bytes: 5 } });
  t.is(origin.connections(), 1);
  t.is(forwarder.speaksHttp2({ run_id: 'run_test', host: 'origin.test', port: origin.port }), false);

  const post = start(origin.port, { permit, method: 'POST', path: '/trailers', framing: { kind: 'chunked' }, headers: ['te', 'trailers'] });
  await post.client.send('part one, ');
  await post.client.send('part two');
  await post.client.finish(['x-up', '1']);
  t.like(await post.outcome, { kind: 'completed', status: 200 });
  t.is(post.client.text, 'chunk');
  t.deepEqual(post.client.trailers, ['x-t', '1']);
  t.is(origin.seen.at(-1), `POST /trailers chunked origin.test:${origin.port} part one, part two {"x-up":"1"}`);

  for (const [method, path, status] of [['HEAD', '/', 200], ['GET', '/204', 204], ['GET', '/304', 304]] as const) {
    const { client, outcome } = start(origin.port, { permit, method, path });
    t.like(await outcome, { kind: 'completed', status });
    t.is(client.text, '');
    t.deepEqual(client.answer?.framing, { kind: 'none' });
  }
  const hints = start(origin.port, { permit, path: '/hints' });
  t.like(await hints.outcome, { kind: 'completed', status: 200 });
  t.deepEqual(hints.client.interims.map(({ status }) => status), [103]);
  t.is(origin.connections(), 1);
});

test('that an origin speaks HTTP/1.1 alone holds for the run that found it, and not for ever', async (t) => {
  const origin = await startHttp1Origin(t);
  const { start, forwarder } = startHttp2World(t, { upstreamCa: origin.ca, forward: { protocol_known_ms: 300 } });
  const known = (run_id: string) => forwarder.speaksHttp2({ run_id, host: 'origin.test', port: origin.port });
  t.like(await start(origin.port, { permit: { scheme: 'https' } }).outcome, { kind: 'completed', http_version: '1.1' });
  t.is(known('run_test'), false);
  t.is(known('run_other'), undefined);
  await until('the origin to be asked anew', () => known('run_test') === undefined);
  t.like(await start(origin.port, { permit: { scheme: 'https' } }).outcome, { kind: 'completed', http_version: '1.1' });
  t.is(origin.connections(), 2);
  t.is(known('run_test'), false);
});

test('all that wait for a dial go by HTTP/1.1 when that is what it brings', async (t) => {
  const origin = await startHttp1Origin(t);
  const { start } = startHttp2World(t, { upstreamCa: origin.ca });
  const all = Array.from({ length: 5 }, () => start(origin.port, { permit: { scheme: 'https' } }));
  for (const { outcome } of all) t.like(await outcome, { kind: 'completed', status: 200, http_version: '1.1' });
  t.is(origin.connections(), 5);
  t.is((origin.seen.length), 5);
});

test('a run with many origins has its share of the connections, and leaves others theirs', async (t) => {
  let heldStreams = 0;
  const origins = await Promise.all(Array.from({ length: 5 }, () => startHttp2Origin(t, (stream, fields) => {
    if (fields.includes('/held')) heldStreams++;
    else stream.respond({ ':status': 200 }, { endStream: true });
  })));
  const { start } = startHttp2World(t, { forward: { sessions: 8 } });
  const hold = (run_id: string, index: number): Running => start(origins[index]!.port, { path: '/held', permit: { run_id, pool_key: `${run_id} ${index}` } });
  const running: Running[] = [];
  for (const [run_id, index] of [['run_many', 0], ['run_many', 1], ['run_other', 2]] as const) {
    running.push(hold(run_id, index));
    await until('a held stream', () => heldStreams === running.length);
  }
  // A quarter of 8 is 2; that another run has one leaves 7.
  t.like(await hold('run_many', 3).outcome, { kind: 'failed', code: 'rate_limited' });
  t.like(await start(origins[4]!.port, { permit: { run_id: 'run_third', pool_key: 'run_third 4' } }).outcome, { kind: 'completed' });
  for (const { client } of running) client.leave();
  await until('its room', async () => (await start(origins[3]!.port, { permit: { run_id: 'run_many', pool_key: 'run_many 3' } }).outcome).kind === 'completed');
});

test('when there is no room for another connection, one that nobody uses makes it', async (t) => {
  let heldStreams = 0;
  const make = (): Promise<NodeOrigin> => startHttp2Origin(t, (stream, fields) => {
    if (fields.includes('/held')) return void heldStreams++;
    stream.respond({ ':status': 200 });
    stream.end();
  });
  const [one, two] = [await make(), await make()];
  const { start } = startHttp2World(t, { forward: { sessions: 1 } });
  await start(one.port).outcome;
  // The stream closes some turns after its answer is complete.
  await until('room', async () => (await start(two.port).outcome).kind === 'completed');
  await until('the close', () => one.sessions[0]!.destroyed);
  const held = start(two.port, { path: '/held' });
  await until('the held stream', () => heldStreams > 0);
  const refused = start(one.port);
  t.like(await refused.outcome, { kind: 'failed', code: 'overloaded' });
  held.client.leave();
});

