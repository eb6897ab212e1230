import test, { type ExecutionContext } from 'ava';
import { acceptInside, recogniseFirstBytes } from '../../../proxy/accept/inside.ts';
import type { Exchange } from '../../../proxy/exchange.ts';
import { until } from '../../helpers/wait.ts';
import { onHeads, permitFor, startOrigin, startWireProxy, type Peer, type WireProxy } from '../wire-world.ts';

interface Inside {
  readonly client: Peer;
  readonly proxy: WireProxy;
  readonly exchanges: Exchange[];
  readonly told: string[];
  readonly port: number;
}

/** A CONNECT whose inside is looked at. */
async function inside(t: ExecutionContext, first: string = ''): Promise<Inside> {
  const origin = await startOrigin(t, (peer) => onHeads(peer, (head) => peer.send(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Seen: ${head.split('\r\n')[0]}\r\n\r\nok`)));
  const exchanges: Exchange[] = [];
  const told: string[] = [];
  const proxy: WireProxy = await startWireProxy(t, {
    accept: { first_bytes_ms: 1000 },
    handler: (exchange, forward) => {
      acceptInside(exchange.openTunnel(), {
        source: exchange.source, form: { kind: 'inside', authority: exchange.head.target, caller: 'the caller', tls: undefined }, host: '127.0.0.1', tls: undefined, limits: proxy.limits, sweep: proxy.sweep,
        onOther: ({ kind }) => { told.push(kind); },
      }, async (within) => {
        exchanges.push(within);
        await forward(permitFor(within), within);
      });
      return Promise.resolve();
    },
  });
  const client = await proxy.connect();
  client.send(`CONNECT 127.0.0.1:${origin.port} HTTP/1.1\r\nHost: a.test\r\n\r\n${first}`);
  await client.hears('200 Connection Established\r\n\r\n');
  return { client, proxy, exchanges, told, port: origin.port };
}

test('requests inside a CONNECT are exchanges of their own, with authority and caller, judged one by one', async (t) => {
  const { client, exchanges, port } = await inside(t);
  client.send('GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\nGET /2?x HTTP/1.1\r\nHost: a.test\r\n\r\n');
  await client.hears('GET /2?x HTTP/1.1\r\n\r\nok');
  t.deepEqual(exchanges.map(({ form }) => form), [1, 2].map(() => ({ kind: 'inside', authority: `127.0.0.1:${port}`, caller: 'the caller', tls: undefined })));
  t.deepEqual(exchanges.map(({ head }) => head.target), ['/1', '/2?x']);
});

test('what came with the CONNECT counts, and what comes byte by byte as well', async (t) => {
  const { client } = await inside(t, 'GET /early HTTP/1.1\r\nHost: a.test\r\n\r\n');
  await client.hears('GET /early HTTP/1.1\r\n\r\nok');
  const slow = await inside(t);
  for (const letter of 'PROPFIND /slow HTTP/1.1\r\nHost: a.test\r\n\r\n') {
    slow.client.send(letter);
    await new Promise((resolve) => { setImmediate(resolve); });
  }
  await slow.client.hears('PROPFIND /slow HTTP/1.1\r\n\r\nok');
  t.pass();
});

test('absolute form, CONNECT and asterisk inside are not supported', async (t) => {
  for (const line of ['GET http://other.test/ HTTP/1.1', 'CONNECT other.test:80 HTTP/1.1', 'OPTIONS * HTTP/1.1']) {
    const { client, exchanges } = await inside(t);
    client.send(`${line}\r\nHost: a.test\r\n\r\n`);
    await client.hears('"code": "not_supported"');
    t.is(exchanges.length, 0);
  }
});

const others: readonly (readonly [string, string | Buffer, string])[] = [
  ['a TLS ClientHello', Buffer.from('16030100', 'hex'), 'tls'],
  ['another protocol', 'SSH-2.0-OpenSSH\r\n', 'unknown'],
  ['binary', Buffer.from('00ff00ff', 'hex'), 'unknown'],
  ['a lower-case line', 'helo x\r\n', 'unknown'],
];
for (const [title, bytes, what] of others) {
  test(`${title} inside a CONNECT is told as ${what}, whole or byte by byte`, async (t) => {
    for (const single of [false, true]) {
      const { client, told, exchanges } = await inside(t);
      for (const piece of single ? [...Buffer.from(bytes)].map((byte) => Buffer.from([byte])) : [Buffer.from(bytes)]) {
        client.send(piece);
        await new Promise((resolve) => { setImmediate(resolve); });
      }
      await client.ends();
      t.deepEqual(told, [what]);
      t.is(exchanges.length, 0);
    }
  });
}

test('a tunnel without a byte is told as silent, one that closes as closed', async (t) => {
  const silent = await inside(t);
  await until('the end', () => silent.told.length > 0);
  t.deepEqual(silent.told, ['silent']);
  const closed = await inside(t);
  closed.client.socket.end();
  await until('the end', () => closed.told.length > 0);
  t.deepEqual(closed.told, ['closed']);
});

test('first bytes are recognised as soon as they can be', (t) => {
  const rows = [
    ['G', 'more'], ['GET', 'more'], ['GET ', 'more'], ['GET /', 'http'], ['OPTIONS *', 'http'], ['M-SEARCH /', 'http'], ['\x16', 'more'], ['\x16\x03', 'tls'], ['\x16\x02', 'unknown'],
    ['P', 'more'], ['PRI * HTTP/2.0\r', 'more'], ['PRI * HTTP/2.0\r\n', 'http2'], ['PRIX /', 'http'], ['PUT /', 'http'], ['AAAAAAAAAAAAAAAAAAAAAAAA', 'unknown'], ['1', 'unknown'], ['Get', 'unknown'],
  ] as const;
  for (const [text, what] of rows) t.is(recogniseFirstBytes(Buffer.from(text, 'latin1')), what, JSON.stringify(text));
});
