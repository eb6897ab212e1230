import test from 'ava';
import { setImmediate as turn } from 'node:timers/promises';
import { until } from '../../helpers/wait.ts';
import { onHeads, startOrigin, startWireProxy, TestBudget } from '../wire-world.ts';

const body = Array.from({ length: 1000 }, (_, index) => String.fromCharCode(97 + (index % 26))).join('');
const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const headBytes = answer.length - body.length;
const get = (port: number): string => `GET http://a.test:${port}/ HTTP/1.1\r\nHost: a.test\r\n\r\n`;
const sent = (port: number): number => `GET / HTTP/1.1\r\nHost: origin.test:${port}\r\n\r\n`.length;

for (const granted of [headBytes, headBytes + 1, headBytes + 400, answer.length - 1]) {
  test(`with ${granted} bytes_in left of an answer of ${answer.length}, the client gets exactly what is paid for`, async (t) => {
    const budget = new TestBudget({ bytes_in: granted });
    const origin = await startOrigin(t, (peer) => onHeads(peer, () => peer.send(answer)));
    const proxy = await startWireProxy(t, { permit: () => ({ spending: budget }) });
    const client = await proxy.connect();
    client.send(get(origin.port));
    await client.ends();
    t.is(client.text, answer.slice(0, granted));
    t.like(await proxy.outcome(0), { kind: 'cut', code: 'budget_exhausted', meter: 'bytes_in', bytes_in: granted, bytes_out: sent(origin.port), status: 200 });
    t.is(budget.left.bytes_in, 0);
    await until('the end at the origin', () => origin.peers[0]!.ended || origin.peers[0]!.closed);
  });
}

test('an answer whose head is not paid for is a refusal, and the client\'s connection stays', async (t) => {
  const budget = new TestBudget({ bytes_in: headBytes - 1 });
  const origin = await startOrigin(t, (peer) => onHeads(peer, () => peer.send(answer)));
  const proxy = await startWireProxy(t, { permit: () => ({ spending: budget }) });
  const client = await proxy.connect();
  client.send(get(origin.port));
  await client.hears('}\n');
  t.regex(client.text, /^HTTP\/1\.1 403 [^]*"code": "budget_exhausted"/);
  t.like(await proxy.outcome(0), { kind: 'cut', code: 'budget_exhausted', meter: 'bytes_in', status: undefined, bytes_in: headBytes - 1 });
  client.send(get(origin.port));
  await until('the next answer', () => client.text.split('HTTP/1.1 403').length === 3);
});

test('an answer waits for budget and goes on when there is some, byte by byte', async (t) => {
  const budget = new TestBudget({ bytes_in: 0 }, true);
  const origin = await startOrigin(t, (peer) => onHeads(peer, () => peer.send(answer)));
  const proxy = await startWireProxy(t, { permit: () => ({ spending: budget }) });
  const client = await proxy.connect();
  client.send(get(origin.port));
  for (let granted = 0; granted < answer.length;) {
    await until('the question', () => budget.asked.length > 0);
    budget.asked.length = 0;
    const more = Math.min(granted < 60 ? 1 : 97, answer.length - granted);
    granted += more;
    budget.grant('bytes_in', more);
  }
  await client.hears(body);
  t.is(client.text, answer);
  t.like(await proxy.outcome(0), { kind: 'completed', bytes_in: answer.length });
  client.send(get(origin.port));
  await until('the question', () => budget.asked.length > 0);
  t.is(origin.peers.length, 1, 'the connection was usable again');
});

test('an origin that closes while its last bytes wait for budget is heard to the end', async (t) => {
  const budget = new TestBudget({ bytes_in: 10 }, true);
  const origin = await startOrigin(t, (peer) => onHeads(peer, () => { peer.send(`HTTP/1.1 200 OK\r\n\r\n${body}`); peer.socket.end(); }));
  const proxy = await startWireProxy(t, { permit: () => ({ spending: budget }) });
  const client = await proxy.connect();
  client.send(get(origin.port));
  await until('the question', () => budget.asked.length > 0);
  budget.grant('bytes_in', 10_000);
  await client.hears('0\r\n\r\n');
  t.true(client.text.replaceAll(/\r\n[0-9a-f]+\r\n/g, '').includes('xyz'));
  t.like(await proxy.outcome(0), { kind: 'completed', bytes_in: 19 + body.length });
});

test('a request whose head is not paid for is refused, nothing of it sent, and what was taken given back', async (t) => {
  const budget = new TestBudget({ bytes_out: 5 });
  const origin = await startOrigin(t);
  const proxy = await startWireProxy(t, { permit: () => ({ spending: { ...budget, more: (meter) => { budget.asked.push(meter); return Promise.resolve(false); } } }) });
  const client = await proxy.connect();
  client.send(get(origin.port));
  await client.hears(/HTTP\/1\.1 403 [^]*"code": "budget_exhausted"/);
  t.like(await proxy.outcome(0), { kind: 'cut', code: 'budget_exhausted', meter: 'bytes_out', bytes_out: 0 });
  t.deepEqual(budget.left, { bytes_out: 5 });
  t.true(origin.peers.every((peer) => peer.text === ''));
});

for (const chunked of [false, true]) {
  test(`an upload ${chunked ? 'in chunks' : 'of a length'} is cut to the byte, and the client told so`, async (t) => {
    const origin = await startOrigin(t);
    const proxy = await startWireProxy(t, { permit: () => ({ spending: budget }) });
    const fields = chunked ? 'Transfer-Encoding: chunked\r\n' : 'Content-Length: 1000\r\n';
    const full = `POST / HTTP/1.1\r\nHost: origin.test:${origin.port}\r\n${fields}\r\n${chunked ? `3e8\r\n${body}\r\n0\r\n\r\n` : body}`;
    const budget = new TestBudget({ bytes_out: 400 });
    const client = await proxy.connect();
    client.send(`POST http://a.test:${origin.port}/ HTTP/1.1\r\nHost: a.test\r\n${fields}\r\n${chunked ? `3e8\r\n${body}\r\n0\r\n\r\n` : body}`);
    await client.hears(/HTTP\/1\.1 403 [^]*"code": "budget_exhausted"/);
    const peer = await origin.peer(0);
    await peer.ends();
    t.is(peer.text, full.slice(0, 400));
    t.like(await proxy.outcome(0), { kind: 'cut', code: 'budget_exhausted', meter: 'bytes_out', bytes_out: 400 });
  });
}

test('an upload waits for budget, holds the client up meanwhile, and comes whole', async (t) => {
  const budget = new TestBudget({ bytes_out: 200 }, true);
  const origin = await startOrigin(t);
  const proxy = await startWireProxy(t, { permit: () => ({ spending: budget }) });
  const client = await proxy.connect();
  const size = 4 * 1024 * 1024;
  client.send(`POST http://a.test:${origin.port}/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${size}\r\n\r\n`);
  client.send(Buffer.alloc(size, 'u'));
  const peer = await origin.peer(0);
  await until('the question', () => budget.asked.length > 0);
  await until('what is paid for', () => peer.bytes.length === 200);
  budget.grant('bytes_out', 1_000_000);
  await until('what is paid for', () => peer.bytes.length === 1_000_200);
  budget.grant('bytes_out', 10_000_000);
  await until('all', () => peer.text.endsWith('u') && peer.bytes.length > size);
  peer.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  await client.hears('200 OK');
  t.like(await proxy.outcome(0), { kind: 'completed', bytes_out: peer.bytes.length });
});

test('a client that leaves while the head of its request waits for budget does not get its units twice', async (t) => {
  const budget = new TestBudget({ bytes_out: 5 }, true);
  const origin = await startOrigin(t);
  const proxy = await startWireProxy(t, { permit: () => ({ spending: budget }) });
  const client = await proxy.connect();
  client.send(get(origin.port));
  await until('the question', () => budget.asked.length > 0);
  client.socket.destroy();
  t.like(await proxy.outcome(0), { kind: 'failed', code: 'client_gone', bytes_out: 0 });
  // What was taken and did not flow is given back by whoever settles the outcome.
  budget.grant('bytes_out', 0);
  await turn();
  t.deepEqual(budget.left, { bytes_out: 0 });
  t.is(budget.spent.bytes_out, 5);
});
