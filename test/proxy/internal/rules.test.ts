import test from 'ava';
import * as fc from 'fast-check';
import { internalLimits, internalTarget, isInternal, passedFields } from '../../../proxy/internal/rules.ts';
import type { Egress } from '../../../proxy/describe/egress.ts';

const egress = (path: string | undefined, target: string | undefined = path, method = 'GET'): Pick<Egress, 'method' | 'path' | 'target'> => ({ method, path, target });

test('only the agents\' own API and the health of the control plane can be asked for', (t) => {
  for (const path of ['/chat/run', '/chat/run/run_1', '/chat/run/run_1/actions', '/chat/why', '/healthz', '/chat/a.b~c:d_e-f']) t.is(internalTarget(egress(path), internalLimits), path);
  t.is(internalTarget(egress('/chat/why', '/chat/why?url=http://a.test/'), internalLimits), '/chat/why?url=http://a.test/');
  for (const path of [
    '/', '/chat', '/chat/', '/chat/run/', '/Chat/run', '/chatter/x', '/data-plane/stream', '/admin/proxies', '/metrics', '/readyz', '/mcp', '/console', '/healthz/', '/healthz/x',
    '/chat/../data-plane/stream', '/chat/./run', '//chat/run', '/chat//run', '/%63hat/run', '/chat/%2e%2e/data-plane', '/chat%2Frun', '/chat/a%2Fb', '/chat/run;x', '/chat\\run', '/chat/run\n', '/chat/rün', undefined,
  ]) {
    const told = t.throws(() => internalTarget(egress(path), internalLimits), undefined, path);
    t.is((told as { code?: string }).code, 'not_found', path);
  }
  for (const method of ['CONNECT', 'TRACE', 'OPTIONS', 'PROPFIND', 'get']) t.throws(() => internalTarget(egress('/chat/run', '/chat/run', method), internalLimits), { code: 'not_supported' });
  t.throws(() => internalTarget(egress('/chat/why', `/chat/why?url=${'x'.repeat(9000)}`), internalLimits), { code: 'bad_request' });
});

test('it is the control plane by its one name and port, with the same Host', (t) => {
  const at = (host: string, port: number, host_mismatch = false): Egress => ({ host, port, host_mismatch }) as Egress;
  t.true(isInternal(at('sallyport.internal', 80)));
  for (const other of [at('sallyport.internal', 443), at('sallyport.internal', 3129), at('x.sallyport.internal', 80), at('sallyport.internal.evil.test', 80), at('sallyport.internal', 80, true)]) t.false(isInternal(other));
});

test('of the agent\'s fields only those of a closed list go on', (t) => {
  const headers = [
    'Authorization', 'Bearer x', 'Sallyport-Run', 'run_2;epoch=1', 'sallyport-anything', 'x', 'Proxy-Authorization', 'Basic x', 'Forwarded', 'for=1', 'X-Forwarded-For', '1', 'X-Real-IP', '1', 'Cookie', 'a=b',
    'Transfer-Encoding', 'chunked', 'Content-Length', '5', 'Connection', 'keep-alive, x', 'Host', 'other.test', 'Expect', '100-continue', 'X-HTTP-Method-Override', 'DELETE', 'TE', 'trailers', 'Trailer', 'x',
    'Content-Type', 'application/json', 'ACCEPT', 'text/event-stream', 'Idempotency-Key', 'k', 'Last-Event-ID', '7', 'User-Agent', 'curl', 'Content-Encoding', 'gzip',
  ];
  t.deepEqual(passedFields({ headers, upgrade: undefined }, internalLimits), {
    'content-type': 'application/json', accept: 'text/event-stream', 'idempotency-key': 'k', 'last-event-id': '7', 'user-agent': 'curl', 'content-encoding': 'gzip',
  });
  t.throws(() => passedFields({ headers: ['Content-Type', 'a', 'content-type', 'b'], upgrade: undefined }, internalLimits), { code: 'bad_request' });
  t.throws(() => passedFields({ headers: ['User-Agent', 'x'.repeat(5000)], upgrade: undefined }, internalLimits), { code: 'bad_request' });
  t.throws(() => passedFields({ headers: [], upgrade: 'websocket' }, internalLimits), { code: 'not_supported' });
});

test('whatever the path, what is asked for is what a URL parser reads as below /chat/', (t) => {
  const piece = fc.oneof(fc.constantFrom('chat', '..', '.', '', '%2e%2e', '%2F', 'data-plane', 'admin', 'run', '\\', ';', '%00', '@', '..;'), fc.string({ maxLength: 5 }));
  t.notThrows(() => fc.assert(fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
    const path = `/${pieces.join('/')}`;
    let target: string;
    try {
      target = internalTarget(egress(path), internalLimits);
    } catch {
      return true;
    }
    const read = new URL(target, 'http://control-plane').pathname;
    return read === target && (read === '/healthz' || read.startsWith('/chat/'));
  }), { numRuns: 2000 }));
});
