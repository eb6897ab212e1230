import test, { type ExecutionContext } from 'ava';
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { systemClock } from '../../../../contracts/clock.ts';
import type { Outcome } from '../../../../proxy/enforce/permit.ts';
import { createForwarder } from '../../../../proxy/forward/forwarder.ts';
import { forwardLimits, type ForwardLimits } from '../../../../proxy/forward/limits.ts';
import { Sweep } from '../../../../proxy/wire/sweep.ts';
import { onHeads, permitFor, startOrigin, type PermitFields } from '../../wire-world.ts';
import { frame, headers, reset, types } from '../../../helpers/http2-frames.ts';
import { until } from '../../../helpers/wait.ts';
import { startHttp2 } from '../../accept/http2/world.ts';
import { startHttp2Origin, startRawOrigin, type OnStream } from './world.ts';

interface Through {
  readonly client: ClientHttp2Session;
  readonly outcomes: Outcome[];
}

/** A client of HTTP/2, `accept/` and `forward/`: only what stands between them is missing. */
async function startThrough(t: ExecutionContext, port: number, { forward, permit }: { readonly forward?: Partial<ForwardLimits>; readonly permit?: Partial<PermitFields> } = {}): Promise<Through> {
  const sweep = new Sweep(systemClock);
  const forwarder = createForwarder({ clock: systemClock, sweep, limits: { ...forwardLimits, ...forward } });
  const outcomes: Outcome[] = [];
  const proxy = await startHttp2(t, async (exchange) => {
    outcomes.push(await forwarder.forward(permitFor(exchange, { port, authority: `origin.test:${port}`, pool_key: 'run', ...permit }), exchange));
  });
  const client = connect(`http://127.0.0.1:${proxy.port}`);
  client.on('error', () => { /* Torn down. */ });
  t.teardown(() => {
    client.destroy();
    forwarder.close();
    sweep.close();
  });
  return { client, outcomes };
}

interface Answer {
  readonly status: number;
  readonly fields: readonly string[];
  readonly text: string;
  readonly trailers: readonly string[];
  readonly code: number;
}

const head = { ':authority': 'api.test:443', ':scheme': 'http', ':path': '/' } as const;

async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  let status = 0;
  let fields: readonly string[] = [];
  let trailers: readonly string[] = [];
  let text = '';
  let closed = false;
  stream.on('error', () => { /* The code says it. */ });
  stream.on('response', (headers, _flags, raw: string[]) => {
    status = Number(headers[':status']);
    fields = raw;
  });
  stream.on('trailers', (_headers, _flags, raw: string[]) => { trailers = raw; });
  stream.on('data', (bytes: Buffer) => { text += bytes.toString('latin1'); });
  stream.on('close', () => { closed = true; });
  await until('the end of the stream', () => closed);
  return { status, fields, text, trailers, code: stream.rstCode };
}

const grpc: OnStream = (stream) => {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('data', (bytes: Buffer) => { stream.write(bytes); });
  stream.on('end', () => { stream.end(); });
  stream.on('wantTrailers', () => { stream.sendTrailers({ 'grpc-status': '0' }); });
};

test('a call of gRPC passes, unary and with messages both ways at once', async (t) => {
  const origin = await startHttp2Origin(t, grpc);
  const { client, outcomes } = await startThrough(t, origin.port);
  const unary = client.request({ ...head, ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' });
  unary.end('message');
  const answer = await answerOf(unary);
  t.like(answer, { status: 200, text: 'message', code: 0 });
  t.deepEqual(answer.trailers, ['grpc-status', '0']);

  const both = client.request({ ...head, ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' });
  let heard = '';
  both.on('data', (bytes: Buffer) => { heard += bytes.toString(); });
  const done = answerOf(both);
  for (let count = 0; count < 5; count++) {
    both.write(`ping ${count}.`);
    await until(`echo ${count}`, () => heard.endsWith(`ping ${count}.`));
  }
  both.end();
  t.like(await done, { status: 200, code: 0 });
  await until('both outcomes', () => outcomes.length === 2);
  for (const outcome of outcomes) t.like(outcome, { kind: 'completed', http_version: '2' });
});

test('a client that cancels reaches the origin within a second, and its other streams go on', async (t) => {
  const codes: number[] = [];
  let open = 0;
  const origin = await startHttp2Origin(t, (stream, fields) => {
    open++;
    stream.on('close', () => { if (!fields.includes('/other')) codes.push(stream.rstCode); });
    stream.respond({ ':status': 200 });
    stream.write('begun');
    if (fields.includes('/other')) setImmediate(() => { stream.end('.'); });
  });
  const { client, outcomes } = await startThrough(t, origin.port);
  const stream = client.request({ ...head, ':method': 'GET' });
  stream.on('error', () => { /* Ours. */ });
  await until('the stream at the origin', () => open === 1);
  const began = performance.now();
  stream.close(constants.NGHTTP2_CANCEL);
  await until('the reset at the origin', () => codes.length === 1);
  t.true(performance.now() - began < 5_000);
  t.deepEqual(codes, [constants.NGHTTP2_CANCEL]);
  t.like(await answerOf(client.request({ ...head, ':method': 'GET', ':path': '/other' })), { status: 200, text: 'begun.' });
  t.like(outcomes[0], { kind: 'failed', code: 'client_gone' });
});

test('an origin that fails is a refusal in the client\'s own terms, or a reset once the answer has begun', async (t) => {
  // Node's own server would end the answer in order before it resets the stream.
  const origin = await startRawOrigin(t, (peer, stream) => {
    if (stream === 1) peer.send(reset(stream, 2));
    else peer.send(headers(stream, [[':status', '200']], false), frame(types.data, 0, stream, Buffer.from('part')), reset(stream, 2));
  });
  const { client, outcomes } = await startThrough(t, origin.port);
  const refused = await answerOf(client.request({ ...head, ':method': 'GET', accept: 'application/json' }));
  t.is(refused.status, 502);
  t.like(JSON.parse(refused.text), { code: 'upstream_reset' });
  const cut = await answerOf(client.request({ ...head, ':method': 'GET', ':path': '/begun' }));
  t.is(cut.status, 200);
  t.not(cut.code, 0);
  await until('both outcomes', () => outcomes.length === 2);
  t.like(outcomes[1], { kind: 'failed', code: 'upstream_reset' });
  t.regex(outcomes[1]!.detail ?? '', /INTERNAL_ERROR/);
});

test('200 streams at once pass over one connection each way', async (t) => {
  const origin = await startHttp2Origin(t, (stream, fields) => {
    stream.respond({ ':status': 200 });
    stream.end(fields[fields.indexOf(':path') + 1]);
  });
  const { client, outcomes } = await startThrough(t, origin.port, { forward: { sessions_per_key: 1 } });
  const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => answerOf(client.request({ ...head, ':method': 'GET', ':path': `/${index}` }))));
  for (const [index, answer] of answers.entries()) t.like(answer, { status: 200, text: `/${index}` });
  t.is(outcomes.length, 200);
  t.is(origin.sessions.length, 1);
});

test('an origin of HTTP/1.1 in clear text is not what was asked for, and is refused', async (t) => {
  const origin = await startOrigin(t, (peer) => { onHeads(peer, () => { peer.send('HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Length: 0\r\n\r\n'); }); });
  const { client } = await startThrough(t, origin.port);
  const answer = await answerOf(client.request({ ...head, ':method': 'GET', accept: 'application/json' }));
  t.is(answer.status, 502);
  t.like(JSON.parse(answer.text), { code: 'upstream_protocol' });
});
