import test from 'ava';
import { constants } from 'node:http2';
import { serialiseRequest } from '../../../../proxy/wire/serialise.ts';
import { flags, types, type Frame } from '../../../helpers/http2-frames.ts';
import { TestAuthority } from '../../../helpers/test-authority.ts';
import { until } from '../../../helpers/wait.ts';
import { startHttp2Origin, startHttp2World, startRawOrigin } from './world.ts';
import { heldBytes, TestBudget } from '../../wire-world.ts';

const size = 20 * 1_048_576;
/** What may be held for a stream either way: windows, Node's buffers, one read. */
const most = 4 * 1_048_576;

test.serial('20 MB to a client that reads slowly are held back at the origin, and memory stays flat', async (t) => {
  let written = 0;
  const origin = await startHttp2Origin(t, (stream) => {
    stream.respond({ ':status': 200, 'content-length': String(size) });
    const piece = Buffer.alloc(65_536);
    const go = (): void => {
      while (written < size) {
        written += piece.length;
        if (!stream.write(piece)) return void stream.once('drain', go);
      }
      stream.end();
    };
    go();
  });
  const { start } = startHttp2World(t);
  const { client, outcome } = start(origin.port, { counts: true });
  client.full = true;
  await until('the head', () => client.answer);
  let before = -1;
  await until('the origin to stand still', () => {
    const still = before === written;
    before = written;
    return still;
  });
  t.true(written < most, `${written} written while the client took nothing`);
  t.is(client.received, 0);
  const base = heldBytes();
  let peak = 0;
  for (let part = 0; client.received < size; part++) {
    const had = client.received;
    client.drain();
    // As much as comes in some turns of the loop.
    await until('more', () => client.received > had);
    client.full = true;
    if (part % 10 === 0) peak = Math.max(peak, heldBytes() - base);
  }
  client.drain();
  t.like(await outcome, { kind: 'completed' });
  t.is(client.received, size);
  t.true(peak < 2 * most, `${peak} held`);
});

for (const [stated, kind] of [['4', 'completed'], ['5', 'failed']] as const) {
  test(`a client that leaves after 4 octets of ${stated}, before the end of the stream, has the exchange ${kind}`, async (t) => {
    const origin = await startHttp2Origin(t, (stream) => {
      stream.on('error', () => { /* It is reset. */ });
      stream.respond({ ':status': 200, 'content-length': stated });
      stream.write('part');
    });
    const { client, outcome } = startHttp2World(t).start(origin.port);
    await until('a part of the answer', () => client.text === 'part');
    client.leave();
    t.like(await outcome, { kind, code: kind === 'failed' ? 'client_gone' : undefined });
  });
}

test.serial('20 MB to an origin that reads slowly are held back at the client, and memory stays flat', async (t) => {
  let received = 0;
  let read: (() => void) | undefined;
  const origin = await startHttp2Origin(t, (stream) => {
    read = () => {
      let left = 1_048_576;
      stream.on('data', (bytes: Buffer) => {
        received += bytes.length;
        left -= bytes.length;
        if (left > 0) return;
        left = 1_048_576;
        stream.pause();
        setTimeout(() => { stream.resume(); }, 20);
      });
    };
    stream.on('end', () => {
      stream.respond({ ':status': 200 });
      stream.end(String(received));
    });
  });
  const { start } = startHttp2World(t);
  const { client, outcome } = start(origin.port, { method: 'POST', framing: { kind: 'length', bytes: size } });
  await until('the body to be asked for', () => client.sink);
  while (client.goes) await client.send(Buffer.alloc(65_536));
  t.true(client.sent < most, `${client.sent} sent while the origin took nothing`);
  await until('the head at the origin', () => read);
  read!();
  const base = heldBytes();
  let peak = 0;
  while (client.sent < size) {
    await client.send(Buffer.alloc(65_536));
    if (client.sent % (2 * 1_048_576) === 0) peak = Math.max(peak, heldBytes() - base);
  }
  await client.finish();
  t.like(await outcome, { kind: 'completed', status: 200 });
  t.is(received, size);
  t.is(client.text, String(size));
  t.true(peak < 2 * most, `${peak} held`);
});

test.serial('20 MB flow both ways inside TLS at once', async (t) => {
  const authority = await TestAuthority.make(t);
  const origin = await startHttp2Origin(t, (stream) => {
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  }, { issued: authority.issue({ names: ['DNS:origin.test'] }) });
  const { start } = startHttp2World(t, { upstreamCa: authority.cert });
  const { client, outcome } = start(origin.port, { method: 'POST', framing: { kind: 'chunked' }, counts: true, permit: { scheme: 'https' } });
  for (let sent = 0; sent < size; sent += 65_536) await client.send(Buffer.alloc(65_536));
  await client.finish();
  t.like(await outcome, { kind: 'completed', status: 200 });
  t.is(client.received, size);
});

/** When the client goes, or its run is stopped. */
const phases = ['before the dial is through', 'before the head', 'in the upload', 'in the answer'] as const;
for (const phase of phases) {
  for (const how of ['client goes', 'run is stopped'] as const) {
    test(`when the ${how} ${phase} the stream is reset at once, and the others on the connection go on`, async (t) => {
      const closed: number[] = [];
      let open = 0;
      let echo: ((text: string) => void) | undefined;
      const origin = await startHttp2Origin(t, (stream, fields) => {
        if (fields.includes('/other')) {
          stream.respond({ ':status': 200 });
          stream.write('begun');
          echo = (text) => { stream.end(text); };
          return;
        }
        open++;
        stream.on('data', () => { /* Read. */ });
        stream.on('close', () => { closed.push(stream.rstCode); });
        if (phase === 'in the answer') {
          stream.respond({ ':status': 200 });
          stream.write('part');
        }
      });
      const { start } = startHttp2World(t);
      const other = start(origin.port, { path: '/other' });
      if (phase !== 'before the dial is through') await until('the other answer', () => other.client.text === 'begun');
      const { client, stop, outcome } = start(origin.port, phase === 'in the upload' ? { method: 'POST', framing: { kind: 'chunked' } } : {});
      if (phase === 'in the upload') await client.send('part');
      if (phase !== 'before the dial is through') await until('the head at the origin', () => open === 1);
      if (phase === 'in the answer') await until('a part of the answer', () => client.text === 'part');
      if (how === 'client goes') client.leave();
      else stop.stop({ code: 'run_ended', detail: 'Over.' });
      t.like(await outcome, how === 'client goes' ? { kind: 'failed', code: 'client_gone' } : { kind: 'cut', code: 'run_ended' });
      if (how === 'run is stopped') t.true(phase === 'in the answer' ? client.aborted : client.refusal?.code === 'run_ended');
      if (phase !== 'before the dial is through') await until('the reset at the origin', () => closed.length === 1);
      t.deepEqual(closed, phase === 'before the dial is through' ? [] : [constants.NGHTTP2_CANCEL]);
      await until('the other answer', () => other.client.text === 'begun');
      echo!(', ended');
      t.like(await other.outcome, { kind: 'completed' });
      t.is(other.client.text, 'begun, ended');
    });
  }
}

for (const end of ['client goes', 'run is stopped', 'budget is used up', 'body is broken'] as const) {
  test(`when the ${end} in an upload the origin can't take what came for all of it`, async (t) => {
    const origin = await startRawOrigin(t, () => { /* Reads. */ });
    const { start } = startHttp2World(t);
    const spending = new TestBudget(end === 'budget is used up' ? { bytes_out: 2_000 } : {});
    const { client, stop, outcome } = start(origin.port, { method: 'POST', framing: { kind: 'chunked' }, permit: { spending } });
    await client.send(Buffer.alloc(1_000));
    const data = (): readonly Frame[] => origin.peers[0]?.frames.filter(({ type }) => type === types.data) ?? [];
    await until('the first octets', () => data().length > 0);
    if (end === 'client goes') client.leave();
    else if (end === 'run is stopped') stop.stop({ code: 'run_ended', detail: 'Over.' });
    else if (end === 'body is broken') client.sink!.fail('it is longer than it said');
    else await client.send(Buffer.alloc(2_000));
    t.not((await outcome).kind, 'completed');
    await until('the reset', () => origin.peers[0]!.resetOf(1) === constants.NGHTTP2_CANCEL);
    t.true(data().every(({ flag }) => (flag & flags.end_stream) === 0));
    const octets = data().reduce((sum, { payload }) => sum + payload.length, 0);
    t.is((await outcome).bytes_out, octets + serialiseRequest(client.head, '/', `origin.test:${origin.port}`).length);
    if (end === 'budget is used up') t.is((await outcome).bytes_out, 2_000);
  });
}

test('a permit that is not valid any more at the first write sends nothing', async (t) => {
  const origin = await startHttp2Origin(t, () => { t.fail('A stream.'); });
  const { start } = startHttp2World(t);
  const { client, outcome } = start(origin.port, { permit: { stillValid: () => false } });
  t.like(await outcome, { kind: 'cut', code: 'run_ended', bytes_out: 0 });
  t.like(client.refusal, { code: 'run_ended' });
});

test('a client that takes nothing, or sends nothing, is gone after a while; an origin that does is late', async (t) => {
  const origin = await startHttp2Origin(t, (stream, fields) => {
    stream.on('data', () => { /* Read. */ });
    if (!fields.includes('/answers')) return;
    stream.respond({ ':status': 200 });
    stream.write(Buffer.alloc(10));
  });
  const { start } = startHttp2World(t, { forward: { idle_ms: 400 } });
  const full = start(origin.port, { path: '/answers' });
  full.client.full = true;
  const sends = start(origin.port, { method: 'POST', framing: { kind: 'chunked' } });
  await sends.client.send('part');
  const late = start(origin.port, { path: '/answers' });
  t.like(await full.outcome, { kind: 'failed', code: 'client_gone' });
  t.like(await sends.outcome, { kind: 'failed', code: 'client_gone' });
  t.like(await late.outcome, { kind: 'failed', code: 'upstream_timeout', detail: 'The other side sent nothing for 0.4 s.' });
  t.true(late.client.aborted);
});

test('a stream with heartbeats outlasts every time-out', async (t) => {
  const origin = await startHttp2Origin(t, (stream) => {
    stream.respond({ ':status': 200 });
    let beats = 0;
    const timer = setInterval(() => {
      stream.write('.');
      if (++beats === 20) {
        clearInterval(timer);
        stream.end();
      }
    }, 100);
    stream.on('close', () => { clearInterval(timer); });
  });
  const { start } = startHttp2World(t, { forward: { idle_ms: 800, first_byte_ms: 800 } });
  const { client, outcome } = start(origin.port);
  t.like(await outcome, { kind: 'completed' });
  t.is(client.text, '.'.repeat(20));
});
