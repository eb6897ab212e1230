import test, { type ExecutionContext } from 'ava';
import type { TlsOptions } from 'node:tls';
import { fileLifetime } from '../../helpers/lifetime.ts';
import { TestAuthority, type Issued } from '../../helpers/test-authority.ts';
import { onHeads, startOrigin, startWireProxy, type Origin, type Peer, type WireProxyOptions } from '../wire-world.ts';

const file = fileLifetime();
let authority: TestAuthority;
let good: Issued;
test.before(async () => {
  authority = await TestAuthority.make(file);
  good = authority.issue({ names: ['DNS:origin.test', 'IP:127.0.0.1'] });
});
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

interface Pair {
  readonly origin: Origin;
  readonly proxy: Awaited<ReturnType<typeof startWireProxy>>;
  readonly client: Peer;
  readonly start: (method?: string, path?: string) => string;
}

async function pair(t: ExecutionContext, tls: TlsOptions, answer: string | ((peer: Peer, head: string, count: number) => void) = ok, options: WireProxyOptions = {}): Promise<Pair> {
  const origin = await startOrigin(t, (peer) => onHeads(peer, (head, count) => { if (typeof answer === 'string') peer.send(answer); else answer(peer, head, count); }), { tls });
  const { permit } = options;
  const proxy = await startWireProxy(t, { upstreamCa: authority.cert, ...options, permit: async (exchange) => ({ scheme: 'https', ...await permit?.(exchange) }) });
  return {
    origin, proxy, client: await proxy.connect(),
    start: (method = 'GET', path = '/') => `${method} http://a.test:${origin.port}${path} HTTP/1.1\r\nHost: a.test\r\n`,
  };
}

test('a request goes to the origin in TLS that is verified, and the outcome says so', async (t) => {
  const { client, start, proxy, origin } = await pair(t, good);
  client.send(`${start()}\r\n${start()}\r\n`);
  await client.hears(/ok[^]*ok$/);
  t.like(await proxy.outcome(0), { kind: 'completed', http_version: '1.1', tls: { version: 'TLSv1.3', resumed: false } });
  t.is(origin.peers.length, 1);
});
