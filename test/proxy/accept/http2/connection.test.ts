import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2';
import test, { type ExecutionContext } from 'ava';
import { makeCertificate } from '../../../helpers/certificate.ts';
import { flags, frame, get, headers, rawConnect, reset, types } from '../../../helpers/http2-frames.ts';
import { event, until, within } from '../../../helpers/wait.ts';
import { answer, answerHead, bodyOf, echoPieces, startHttp2, type Http2World } from './world.ts';

interface Answered {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly raw: readonly string[];
  readonly interim: readonly number[];
  readonly body: Buffer;
  readonly trailers: Record<string, unknown> | undefined;
  readonly code: number;
}

function client(t: ExecutionContext, { port }: Http2World, ca?: string): ClientHttp2Session {
  const session = ca === undefined ? connect(`http://127.0.0.1:${port}`) : connect(`https://127.0.0.1:${port}`, { ca, servername: 'api.test' });
  session.on('error', () => { /* Each stream says so. */ });
  t.teardown(() => { session.destroy(); });
  return session;
}

function answerOf(stream: ClientHttp2Stream): Promise<Answered> {
  return within('the answer', new Promise((resolve) => {
    const pieces: Buffer[] = [];
    const interim: number[] = [];
    let headers: Record<string, unknown> = {};
    let raw: readonly string[] = [];
    let trailers: Record<string, unknown> | undefined;
    stream.on('headers', (fields) => { interim.push(Number(fields[':status'])); });
    stream.on('response', (fields, _flags, list) => {
      headers = fields as Record<string, unknown>;
      raw = list as unknown as string[];
    });
    stream.on('trailers', (fields) => { trailers = fields as Record<string, unknown>; });
    stream.on('data', (bytes: Buffer) => { pieces.push(bytes); });
    stream.on('error', () => { /* Its code says all. */ });
    stream.on('close', () => { resolve({ status: Number(headers[':status']), headers, raw, interim, body: Buffer.concat(pieces), trailers, code: stream.rstCode }); });
  }));
}

const ask = (session: ClientHttp2Session, headers: OutgoingHttpHeaders = {}, body?: Buffer | string): Promise<Answered> => {
  const stream = session.request({ ':authority': 'api.test', ':path': '/', ...headers }, { endStream: body === undefined });
  const answered = answerOf(stream);
  if (body !== undefined) stream.end(body);
  return answered;
};

for (const kind of ['clear text', 'clear text that was looked at', 'TLS'] as const) {
  test(`requests over ${kind} are exchanges of their own, answered on their streams`, async (t) => {
    const certificate = kind === 'TLS' ? await makeCertificate(t, 'DNS:api.test') : undefined;
    const world = await startHttp2(t, async (exchange) => {
      const { body } = await bodyOf(exchange);
      answer(exchange, `${exchange.head.method} ${exchange.head.target} ${body.toString()}`);
    }, { ...(certificate !== undefined && { certificate }), looks: kind !== 'clear text' });
    const session = client(t, world, certificate?.cert);
    const answers = await Promise.all(['a', 'b', 'c'].map((name) => ask(session, { ':method': 'POST', ':path': `/${name}?x` }, name.repeat(100_000))));
    for (const [index, name] of ['a', 'b', 'c'].entries()) {
      t.is(answers[index]!.status, 200);
      t.is(answers[index]!.body.toString(), `POST /${name}?x ${name.repeat(100_000)}`);
    }
    const { head, form } = world.exchanges[0]!;
    t.is(head.version, '2');
    t.deepEqual(head.headers.slice(0, 2), ['host', 'api.test']);
    t.is(form.kind, 'inside');
  });
}

test('an answer keeps order, case of values and duplicates of its fields, and loses those of one hop', async (t) => {
  const world = await startHttp2(t, (exchange) => {
    const { transfer } = exchange;
    transfer.interim(answerHead(103, ['Link', '</style.css>; rel=preload']));
    transfer.begin(answerHead(200, [
      'Set-Cookie', 'a=1', 'X-One', 'Yes', 'Set-Cookie', 'b=2', 'Connection', 'X-Hop, close', 'X-Hop', '1', 'Keep-Alive', 'timeout=5', 'Proxy-Agent', 'x',
      'Transfer-Encoding', 'chunked', 'Content-Type', 'text/plain', 'Content-Type', 'text/html', 'X-Latin', '\xe9',
    ]));
    transfer.write(Buffer.from('he'));
    transfer.write(Buffer.from('llo'));
    transfer.flush();
    transfer.end(['X-Sum', '5', 'X-Sum', '6']);
    return Promise.resolve();
  });
  const { raw, body, trailers, interim, status, code } = await ask(client(t, world));
  t.is(status, 200);
  t.deepEqual(interim, [103]);
  t.deepEqual(raw, [':status', '200', 'set-cookie', 'a=1', 'x-one', 'Yes', 'set-cookie', 'b=2', 'content-type', 'text/plain', 'content-type', 'text/html', 'x-latin', '\xe9']);
  t.is(body.toString(), 'hello');
  t.is(String(trailers?.['x-sum']), '5, 6');
  t.is(code, constants.NGHTTP2_NO_ERROR);
});

test('HEAD, 204, 205 and 304 have no body, and a length is told where it says something', async (t) => {
  const world = await startHttp2(t, ({ head, transfer }) => {
    const status = Number(head.target.slice(1));
    transfer.begin(answerHead(status, ['content-length', '7', 'etag', '"x"'], status === 200 || status === 205 ? { kind: 'length', bytes: 7 } : { kind: 'none' }));
    transfer.write(Buffer.from('seventy'));
    transfer.flush();
    transfer.end([]);
    return Promise.resolve();
  });
  const session = client(t, world);
  for (const [method, status, length] of [['HEAD', 200, '7'], ['GET', 204, undefined], ['GET', 205, undefined], ['GET', 304, '7']] as const) {
    const answered = await ask(session, { ':method': method, ':path': `/${status}` });
    t.deepEqual([answered.status, answered.headers['content-length'], answered.body.length, answered.code], [status, length, 0, 0], `${method} ${status}`);
  }
});

test('an answer of a stated length is whole', async (t) => {
  const world = await startHttp2(t, ({ transfer }) => {
    transfer.begin(answerHead(200, ['content-length', '200000'], { kind: 'length', bytes: 200_000 }));
    transfer.write(Buffer.alloc(200_000, 'x'));
    transfer.flush();
    transfer.end([]);
    return Promise.resolve();
  });
  const { body, code } = await ask(client(t, world));
  t.is(body.length, 200_000);
  t.is(code, 0);
});

test('what is borrowed for a write may be used again after the flush', async (t) => {
  const world = await startHttp2(t, ({ transfer }) => {
    const buffer = Buffer.alloc(20_000);
    transfer.begin(answerHead(200, []));
    for (const letter of 'abcdefgh') {
      buffer.fill(letter);
      transfer.write(buffer);
      transfer.flush();
    }
    buffer.fill('!');
    transfer.end([]);
    return Promise.resolve();
  });
  const { body } = await ask(client(t, world));
  t.is(body.toString(), [...'abcdefgh'].map((letter) => letter.repeat(20_000)).join(''));
});

test('a client that does not read holds the answer up, and lets it go on', async (t) => {
  let given = 0;
  let held = false;
  const piece = Buffer.alloc(65_536, 'y');
  const world = await startHttp2(t, ({ transfer }) => new Promise((resolve) => {
    const go = (): void => {
      while (given < 200) {
        transfer.write(piece);
        given++;
        if (!transfer.flush()) {
          held = true;
          return;
        }
      }
      transfer.end([]);
      resolve();
    };
    transfer.events = { drained: go, gone: resolve };
    transfer.begin(answerHead(200, []));
    go();
  }));
  const stream = client(t, world).request({ ':path': '/', ':authority': 'api.test' });
  await event('the head', stream, 'response');
  await until('the answer to be held up', () => held);
  const before = given;
  t.true(before < 20, String(before));
  t.is((await answerOf(stream)).body.length, 200 * 65_536);
});

test('a sink that is full closes the window of its stream and of no other', async (t) => {
  const world = await startHttp2(t, async (exchange) => {
    if (exchange.head.target !== '/full') {
      answer(exchange, String((await bodyOf(exchange)).body.length));
      return;
    }
    await new Promise<void>((resolve) => {
      let length = 0;
      exchange.transfer.events = { drained: () => { /* Never full. */ }, gone: resolve };
      exchange.transfer.readBody({
        data: (bytes) => {
          length += bytes.length;
          return length > 500_000;
        },
        end: () => {
          answer(exchange, String(length));
          resolve();
        },
        fail: () => { /* It does not. */ },
      });
    });
  });
  const session = client(t, world);
  const stream = session.request({ ':path': '/full', ':method': 'POST', ':authority': 'api.test' });
  stream.end(Buffer.alloc(1_000_000));
  const answered = answerOf(stream);
  t.is((await ask(session, { ':method': 'POST' }, Buffer.alloc(300_000))).body.toString(), '300000');
  t.true(stream.bufferSize > 500_000);
  const { transfer } = await until('the exchange', () => world.exchanges.find(({ head }) => head.target === '/full'));
  const timer = setInterval(() => { transfer.resumeBody(); }, 5);
  t.teardown(() => { clearInterval(timer); });
  t.is((await answered).body.toString(), '1000000');
});

test('trailers of a request are passed on, and those that may not be are not', async (t) => {
  const world = await startHttp2(t, async (exchange) => {
    try {
      const { trailers } = await bodyOf(exchange);
      answer(exchange, JSON.stringify(trailers));
    } catch (error) {
      exchange.refuse({ code: 'bad_request', status: 400, title: 'Bad', detail: (error as Error).message, reasons: [], next_steps: [], egress_id: undefined });
    }
  });
  const session = client(t, world);
  for (const [fields, expected] of [[{ 'x-sum': '1' }, '["x-sum","1"]'], [{ authorization: 'x' }, "authorization can't be a trailer"]] as const) {
    const stream = session.request({ ':path': '/', ':method': 'POST', ':authority': 'api.test' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => { stream.sendTrailers(fields); });
    const answered = answerOf(stream);
    stream.end('body');
    t.true((await answered).body.toString().includes(expected));
  }
});

test('trailers that came before anybody read the body are not lost, nor taken unseen', async (t) => {
  const told = Promise.withResolvers<void>();
  const world = await startHttp2(t, async (exchange) => {
    // As a request does that waits for its permit.
    await told.promise;
    try {
      answer(exchange, JSON.stringify((await bodyOf(exchange)).trailers));
    } catch (error) {
      answer(exchange, (error as Error).message);
    }
  });
  const raw = rawConnect(world.port);
  t.teardown(() => { raw.socket.destroy(); });
  const request = (stream: number, trailer: readonly [string, string]): Buffer => Buffer.concat([
    headers(stream, [[':method', 'POST'], [':scheme', 'http'], [':authority', 'api.test'], [':path', '/']], false), frame(types.data, 0, stream, Buffer.from('body')), headers(stream, [trailer]),
  ]);
  raw.send(request(1, ['x-sum', '1']), request(3, ['authorization', 'x']), frame(types.ping, 0, 0, Buffer.alloc(8)));
  // By then all that was sent before has been read.
  await raw.next('the answer to PING', ({ type, flag }) => type === types.ping && flag === flags.ack);
  told.resolve();
  for (const [stream, expected] of [[1, '["x-sum","1"]'], [3, "authorization can't be a trailer"]] as const) {
    const { payload } = await raw.next('an answer', (one) => one.type === types.data && one.stream === stream && one.payload.length > 0);
    t.true(payload.toString().includes(expected), payload.toString());
  }
});

test('who waits for 100 gets it when somebody reads, and not with a refusal', async (t) => {
  const world = await startHttp2(t, async (exchange) => {
    if (exchange.head.target === '/no') exchange.refuse({ code: 'policy_denied', status: 403, title: 'No', detail: 'no', reasons: [], next_steps: [], egress_id: undefined });
    else answer(exchange, (await bodyOf(exchange)).body);
  });
  const session = client(t, world);
  for (const [path, status, interim] of [['/yes', 200, true], ['/no', 403, false]] as const) {
    const stream = session.request({ ':path': path, ':method': 'POST', ':authority': 'api.test', expect: '100-continue' });
    const answered = answerOf(stream);
    let continued = false;
    stream.on('continue', () => {
      continued = true;
      stream.end('body');
    });
    t.is((await answered).status, status);
    t.is(continued, interim);
  }
});

test('both sides talk at once, and trailers come after the last word', async (t) => {
  const world = await startHttp2(t, (exchange) => echoPieces(exchange, ['content-type', 'application/grpc'], ['grpc-status', '0']));
  const stream = client(t, world).request({ ':path': '/', ':method': 'POST', ':authority': 'api.test', te: 'trailers' });
  await event('the head', stream, 'response');
  for (const word of ['one', 'two', 'three']) {
    stream.write(word);
    const [said] = await event('the echo', stream, 'data');
    t.is(String(said), word);
  }
  const answered = answerOf(stream);
  stream.end();
  t.is((await answered).trailers?.['grpc-status'], '0');
});

test('an answer before the end of the upload is whole, and the rest is not wanted', async (t) => {
  const world = await startHttp2(t, (exchange) => {
    answer(exchange, 'enough', [], ['x-end', '1']);
    return Promise.resolve();
  });
  const stream = client(t, world).request({ ':path': '/', ':method': 'POST', ':authority': 'api.test' });
  stream.write(Buffer.alloc(5_000_000));
  const { body, trailers, code, status } = await answerOf(stream);
  t.deepEqual([status, body.toString(), trailers?.['x-end'], code], [200, 'enough', '1', constants.NGHTTP2_NO_ERROR]);
});

test('a small upload is read to its end behind an answer, so that no client takes its reset for a failure', async (t) => {
  const world = await startHttp2(t, (exchange) => {
    answer(exchange, 'enough');
    return Promise.resolve();
  });
  const raw = rawConnect(world.port);
  raw.send(headers(1, get(), false));
  await raw.next('the end of the answer', ({ type, flag }) => type === types.data && (flag & flags.end_stream) !== 0);
  for (let piece = 0; piece < 4; piece++) {
    raw.send(frame(types.data, 0, 1, Buffer.alloc(15_000)), frame(types.ping, 0, 0, Buffer.alloc(8, piece)));
    await raw.next('the answer to PING', ({ type, payload }) => type === types.ping && payload[0] === piece);
  }
  raw.send(frame(types.data, flags.end_stream, 1), headers(3, get()));
  await raw.next('another answer', ({ type, stream }) => type === types.headers && stream === 3);
  t.false(raw.frames.some(({ type, stream }) => type === types.rst_stream && stream === 1));
  raw.socket.destroy();
});

test('abort resets the stream, and others go on', async (t) => {
  const world = await startHttp2(t, async (exchange) => {
    if (exchange.head.target === '/ok') return answer(exchange, 'fine');
    exchange.transfer.begin(answerHead(200, []));
    exchange.transfer.write(Buffer.from('half'));
    exchange.transfer.flush();
    await new Promise((resolve) => { setImmediate(resolve); });
    exchange.transfer.abort();
  });
  const session = client(t, world);
  t.is((await ask(session, { ':path': '/cut' })).code, constants.NGHTTP2_INTERNAL_ERROR);
  t.is((await ask(session, { ':path': '/ok' })).body.toString(), 'fine');
});

test('a handler that throws or forgets to answer is a refusal, and one that begins and leaves is a reset', async (t) => {
  const world = await startHttp2(t, ({ head, transfer }) => {
    if (head.target === '/throws') throw new Error('oops');
    if (head.target === '/begins') transfer.begin(answerHead(200, []));
    return Promise.resolve();
  });
  const session = client(t, world);
  for (const path of ['/throws', '/forgets']) t.is((await ask(session, { ':path': path })).status, 500);
  t.is((await ask(session, { ':path': '/begins' })).code, constants.NGHTTP2_INTERNAL_ERROR);
});

for (const way of ['reset', 'close'] as const) {
  test(`a client that goes away by ${way} is gone for its exchange, before and during the answer`, async (t) => {
    const gone: string[] = [];
    const world = await startHttp2(t, (exchange) => new Promise((resolve) => {
      const { head, transfer } = exchange;
      exchange.gone.addEventListener('abort', () => { gone.push(`signal ${head.target}`); });
      transfer.events = { drained: () => { /* Never full. */ }, gone: () => {
        gone.push(head.target);
        resolve();
      } };
      if (head.target === '/during') {
        transfer.begin(answerHead(200, []));
        transfer.write(Buffer.from('x'));
        transfer.flush();
      }
    }));
    const session = client(t, world);
    const before = session.request({ ':path': '/before', ':authority': 'api.test' });
    const during = session.request({ ':path': '/during', ':authority': 'api.test' });
    for (const stream of [before, during]) stream.on('error', () => { /* Meant. */ });
    await event('the head', during, 'response');
    if (way === 'reset') for (const stream of [before, during]) stream.close(constants.NGHTTP2_CANCEL);
    else session.destroy();
    await until('both to be gone', () => gone.length === 4);
    t.deepEqual(gone.toSorted(), ['/before', '/during', 'signal /before', 'signal /during']);
    t.true(world.exchanges.every(({ transfer }) => transfer.isGone));
  });
}

test('stop lets what is under way end, and then closes', async (t) => {
  let release = (): void => { /* Set below. */ };
  const world = await startHttp2(t, async (exchange) => {
    await new Promise<void>((resolve) => { release = resolve; });
    answer(exchange, 'late');
  });
  const session = client(t, world);
  const answered = ask(session);
  await until('the exchange', () => world.exchanges.length === 1);
  const goaway = event('GOAWAY', session, 'goaway');
  const closed = event('the close', session, 'close');
  world.stop();
  t.is((await goaway)[0], constants.NGHTTP2_NO_ERROR);
  release();
  t.is((await answered).body.toString(), 'late');
  await closed;
});

test('streams that are at an end count while somebody is still at work on them', async (t) => {
  const world = await startHttp2(t, (exchange) => {
    answer(exchange, 'here');
    return new Promise(() => { /* The journal never says that it is written. */ });
  });
  const session = client(t, world);
  for (let round = 0; round < 256; round += 64) {
    const answers = await Promise.all(Array.from({ length: 64 }, () => ask(session)));
    t.true(answers.every(({ status }) => status === 200));
  }
  t.is((await ask(session)).code, constants.NGHTTP2_REFUSED_STREAM);
  t.is(world.exchanges.length, 256);
});

test('an upload that is reset is never taken for whole, whatever the method and the code', async (t) => {
  const heard: string[] = [];
  const world = await startHttp2(t, (exchange) => new Promise((resolve) => {
    const name = `${exchange.head.method} ${exchange.head.target}`;
    exchange.transfer.events = { drained: () => { /* Never full. */ }, gone: () => {
      heard.push(`${name} gone`);
      resolve();
    } };
    exchange.transfer.readBody({
      data: () => exchange.head.target !== '/paused',
      end: () => { heard.push(`${name} whole`); },
      fail: () => { heard.push(`${name} fails`); },
    });
  }));
  const expected: string[] = [];
  for (const method of ['POST', 'HEAD']) {
    for (const target of ['/read', '/paused']) {
      for (const code of [constants.NGHTTP2_NO_ERROR, constants.NGHTTP2_CANCEL, constants.NGHTTP2_INTERNAL_ERROR]) {
        const raw = rawConnect(world.port);
        raw.send(headers(1, [[':method', method], [':scheme', 'http'], [':authority', 'api.test'], [':path', target]], false), frame(types.data, 0, 1, Buffer.alloc(10_000)), frame(types.data, 0, 1, Buffer.alloc(10_000)));
        await until('the exchange', () => world.exchanges.length > expected.length);
        raw.send(reset(1, code));
        expected.push(`${method} ${target} gone`);
        await until(`${method} ${target} to be gone by ${code}`, () => heard.length === expected.length);
        raw.socket.destroy();
      }
    }
  }
  t.deepEqual(heard, expected);
});

test('an answer with trailers is whole where it is longer than the client takes at once and more is announced than will be read', async (t) => {
  const world = await startHttp2(t, (exchange) => {
    answer(exchange, Buffer.alloc(1_000_000), [], ['x-end', '1']);
    return Promise.resolve();
  });
  const stream = client(t, world).request({ ':path': '/', ':method': 'POST', ':authority': 'api.test', 'content-length': '5000000' });
  stream.write(Buffer.alloc(50_000));
  const { body, trailers, code } = await answerOf(stream);
  t.deepEqual([body.length, trailers?.['x-end'], code], [1_000_000, '1', constants.NGHTTP2_NO_ERROR]);
});

test('streams that are reset with NO_ERROR, their bodies unread, leave nothing behind', async (t) => {
  const world = await startHttp2(t, (exchange) => {
    if (exchange.head.target === '/answer') answer(exchange, 'here');
    else exchange.transfer.readBody({ data: () => false, end: () => { /* It is not. */ }, fail: () => { /* It does not. */ } });
    return new Promise((resolve) => {
      if (exchange.head.target === '/answer') resolve();
      else exchange.gone.addEventListener('abort', () => { resolve(); });
    });
  });
  const raw = rawConnect(world.port);
  for (let stream = 1; stream < 510; stream += 2) {
    raw.send(headers(stream, get(), false), ...[1, 2, 3].map(() => frame(types.data, 0, stream, Buffer.alloc(1000))));
    await until('the exchange', () => world.exchanges.length === (stream + 1) / 2);
    raw.send(reset(stream, constants.NGHTTP2_NO_ERROR));
    await until('it to be gone', () => world.exchanges.at(-1)!.gone.aborted);
  }
  for (const stream of [511, 513]) raw.send(headers(stream, get('/answer')));
  await raw.next('the second answer', ({ type, stream }) => type === types.headers && stream === 513);
  raw.socket.destroy();
  t.is(world.exchanges.length, 257);
});

const refusal = { code: 'policy_denied', status: 403, title: 'Denied by policy', detail: 'Not for you: 100 % \u00e9.', reasons: [{ rule: 'pack.rule', message: 'Only GET.' }], next_steps: ['Ask.'], egress_id: 'eg_1' } as const;

test('a refusal is a document, text for who takes no JSON, and a status of gRPC for its clients', async (t) => {
  const world = await startHttp2(t, (exchange) => {
    exchange.refuse(exchange.head.target === '/busy' ? { ...refusal, code: 'rate_limited', status: 429, retry_after: 1.5 } : refusal);
    return Promise.resolve();
  });
  const session = client(t, world);
  const json = await ask(session, { ':method': 'POST' }, Buffer.alloc(1_000_000));
  t.deepEqual([json.status, json.headers['content-type'], json.code], [403, 'application/problem+json', 0]);
  t.is((JSON.parse(json.body.toString()) as { code: string }).code, 'policy_denied');
  t.is((await ask(session, { accept: 'text/html' })).headers['content-type'], 'text/plain; charset=utf-8');
  t.is((await ask(session, { ':path': '/busy' })).headers['retry-after'], '2');
  const head = await ask(session, { ':method': 'HEAD' });
  t.deepEqual([head.status, head.body.length, head.code], [403, 0, 0]);

  const grpc = await ask(session, { ':method': 'POST', 'content-type': 'application/grpc+proto', te: 'trailers' }, 'message');
  t.deepEqual([grpc.status, grpc.headers['grpc-status'], grpc.body.length, grpc.code], [200, '7', 0, 0]);
  t.is(grpc.headers['grpc-message'], 'Denied by policy (policy_denied): Not for you: 100 %25 %C3%A9. Only GET. (pack.rule) Ask. eg_1');
  const busy = await ask(session, { ':path': '/busy', ':method': 'POST', 'content-type': 'application/grpc' }, 'message');
  t.deepEqual([busy.headers['grpc-status'], busy.headers['grpc-retry-pushback-ms']], ['8', '1500']);
});

test('a request that cannot be taken is refused before any handler, and told', async (t) => {
  const world = await startHttp2(t, () => { throw new Error('no handler'); });
  const session = client(t, world);
  for (const [headers, code] of [
    [{ ':path': '*', ':method': 'OPTIONS' }, 'not_supported'], [{ ':scheme': 'https' }, 'bad_request'], [{ host: 'other.test' }, 'bad_request'], [{ ':method': 'BREW' }, 'not_supported'],
    [{ ':method': 'OPTIONS', 'max-forwards': '0' }, 'not_supported'], [{ expect: '200-ok' }, 'bad_request'],
  ] as const) {
    const { body } = await ask(session, headers as OutgoingHttpHeaders);
    t.is((JSON.parse(body.toString()) as { code: string }).code, code, JSON.stringify(headers));
  }
  t.is(world.refused.length, 6);
  t.is(world.exchanges.length, 0);
});
