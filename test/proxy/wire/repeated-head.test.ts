import test from 'ava';
import { RequestHeads, ResponseHeads } from '../../../proxy/wire/repeated-head.ts';
import { serialiseRequest, serialiseResponse } from '../../../proxy/wire/serialise.ts';

const get = (path: string, more: string = ''): Buffer => Buffer.from(`GET http://a.test${path} HTTP/1.1\r\nHost: a.test\r\n${more}\r\n`, 'latin1');

test('the same bytes on one connection give the very same head, and others give another', (t) => {
  const heads = new RequestHeads();
  const first = heads.judge(get('/1'));
  t.is(first.kind, 'request');
  t.is(heads.judge(get('/1')), first);
  const second = heads.judge(get('/2'));
  t.not(second, first);
  t.is(second.kind === 'request' && second.head.target, 'http://a.test/2');
  t.not(heads.judge(get('/1', 'Accept: \xe9\r\n')), heads.judge(get('/1', 'Accept: \xe8\r\n')));
  t.not(new RequestHeads().judge(get('/1')), first, 'never across connections');
});

test('a head that is refused is not remembered, and is refused each time', (t) => {
  const heads = new RequestHeads();
  const good = heads.judge(get('/1'));
  t.is(heads.judge(get('/1', 'Host: b.test\r\n')).kind, 'bad');
  t.is(heads.judge(get('/1', 'Host: b.test\r\n')).kind, 'bad');
  t.is(good.kind, 'request');
  t.is(heads.judge(get('/1')).kind, 'request');
});

test('a large head is judged anew each time, so that an idle connection does not hold it', (t) => {
  const heads = new RequestHeads();
  const large = get('/1', `X-Large: ${'x'.repeat(8192)}\r\n`);
  t.not(heads.judge(large), heads.judge(large));
});

test('the same answer to another method has another framing', (t) => {
  const heads = new ResponseHeads();
  const answer = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
  const framing = (method: string): unknown => {
    const judged = heads.judge(answer, method);
    return judged.kind === 'response' && judged.head.framing;
  };
  t.deepEqual(framing('GET'), { kind: 'length', bytes: 5 });
  t.deepEqual(framing('HEAD'), { kind: 'none' });
  t.deepEqual(framing('GET'), { kind: 'length', bytes: 5 });
  t.is(heads.judge(answer, 'GET'), heads.judge(answer, 'GET'));
});

test('what was written of a head that repeats is written again, but never for another target, authority or shape', (t) => {
  const heads = new RequestHeads();
  const answers = new ResponseHeads();
  const answer = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
  const shape = { chunked: false, trailers: false, close: false };
  for (let count = 0; count < 4; count++) {
    const request = heads.judge(get('/1'));
    const response = answers.judge(answer, 'GET');
    if (request.kind === 'bad' || response.kind === 'bad') return t.fail();
    const written = (target: string, authority: string): string => serialiseRequest(request.head, target, authority);
    t.is(written('/1', 'a.test'), 'GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\n');
    t.is(written('/2', 'a.test'), 'GET /2 HTTP/1.1\r\nHost: a.test\r\n\r\n');
    t.is(written('/2', 'b.test'), 'GET /2 HTTP/1.1\r\nHost: b.test\r\n\r\n');
    t.is(serialiseRequest(request.head, '/2', 'b.test', 'websocket'), 'GET /2 HTTP/1.1\r\nHost: b.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    t.is(serialiseResponse(response.head, shape), 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
    t.is(serialiseResponse(response.head, { ...shape, close: true }), 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n');
    t.true(serialiseResponse(response.head, { ...shape, chunked: true }).includes('Transfer-Encoding: chunked\r\n'));
  }
});
