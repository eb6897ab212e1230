import test from 'ava';
import { SallyportError, type ErrorCode } from '../../../contracts/errors.ts';
import { describe } from '../../../proxy/describe/describe.ts';
import type { Egress } from '../../../proxy/describe/egress.ts';
import type { Exchange, Form, RequestHead } from '../../../proxy/exchange.ts';

interface Given {
  readonly target: string;
  readonly host?: string;
  readonly method?: string;
  readonly form?: Form;
  readonly headers?: readonly string[];
  readonly head?: Partial<RequestHead>;
}

function exchange({ target, host, method = 'GET', form = { kind: 'absolute' }, headers = [], head = {} }: Given): Exchange {
  const all = [...host === undefined ? [] : ['Host', host], ...headers];
  return { form, head: { method, target, version: '1.1', headers: all, framing: { kind: 'none' }, expects_continue: false, upgrade: undefined, ...head } } as unknown as Exchange;
}

const connect: Form = { kind: 'connect' };
const inside: Form = { kind: 'inside', authority: 'site.test:80', caller: undefined, tls: undefined };
const insideOther: Form = { kind: 'inside', authority: 'site.test:8080', caller: undefined, tls: undefined };

const read: readonly (readonly [Given, Partial<Egress>])[] = [
  [{ target: 'http://site.test/a/b?x=1&y', host: 'site.test' }, { act: 'request', form: 'absolute', host: 'site.test', port: 80, path: '/a/b', target: '/a/b?x=1&y', query_keys: ['x', 'y'], authority: 'site.test', host_mismatch: false, credential: 'none' }],
  [{ target: 'HTTP://SITE.test.:80/', host: 'site.TEST' }, { host: 'site.test', port: 80, authority: 'site.test', host_mismatch: false }],
  [{ target: 'http://site.test:8080/', host: 'site.test:8080' }, { port: 8080, authority: 'site.test:8080' }],
  [{ target: 'http://site.test', host: 'site.test' }, { target: '/' }],
  [{ target: 'http://site.test?x', host: 'site.test' }, { target: '/?x', path: '/' }],
  [{ target: 'http://0x7f.1/', host: '127.0.0.1' }, { host: '127.0.0.1', is_ip_literal: true, host_mismatch: false }],
  [{ target: 'http://[2001:DB8::1]:80/', host: '[2001:db8:0::1]' }, { host: '2001:db8::1', authority: '[2001:db8::1]', is_ip_literal: true, host_mismatch: false }],
  [{ target: 'http://site.test/', head: { version: '1.0' } }, { host: 'site.test', host_mismatch: false }],
  [{ target: 'http://site.test/', host: 'other.test' }, { host: 'site.test', host_mismatch: true }],
  [{ target: 'http://site.test/', host: 'site.test:81' }, { host_mismatch: true }],
  [{ target: 'http://site.test:81/', host: 'site.test' }, { host_mismatch: true }],
  [{ target: 'site.test:443', method: 'CONNECT', form: connect, host: 'site.test:443' }, { act: 'connect', host: 'site.test', port: 443, path: undefined, target: undefined, authority: 'site.test:443', scheme: undefined, host_mismatch: false }],
  [{ target: 'site.test:443', method: 'CONNECT', form: connect, host: 'site.test' }, { host_mismatch: false }],
  [{ target: 'site.test:443', method: 'CONNECT', form: connect, host: 'other.test:443' }, { host_mismatch: true }],
  [{ target: 'site.test:443', method: 'CONNECT', form: connect, host: 'site.test:80' }, { host_mismatch: true }],
  [{ target: '/a', form: inside, host: 'site.test' }, { act: 'request', form: 'inside', host: 'site.test', port: 80, target: '/a', host_mismatch: false }],
  [{ target: '/a', form: inside, host: 'site.test:80' }, { host_mismatch: false }],
  [{ target: '/a', form: inside, host: 'other.test' }, { host_mismatch: true }],
  [{ target: '/a', form: insideOther, host: 'site.test' }, { host_mismatch: true }],
  [{ target: '/a', form: insideOther, host: 'site.test:8080' }, { host_mismatch: false, authority: 'site.test:8080' }],
  [{ target: 'http://site.test/', host: 'site.test', headers: ['aUTHORIZATION', 'Bearer x'] }, { credential: 'foreign' }],
  [{ target: 'http://site.test/', host: 'site.test', headers: ['Cookie', 'a=b'] }, { credential: 'foreign' }],
  [{ target: 'http://site.test/', host: 'site.test', headers: ['X-Api-Key', 'k'] }, { credential: 'foreign' }],
  [{ target: 'http://site.test/?KEY=1', host: 'site.test' }, { credential: 'foreign' }],
  [{ target: 'http://site.test/?%6bey=1', host: 'site.test' }, { credential: 'foreign' }],
  [{ target: 'http://site.test/?monkey=1', host: 'site.test', headers: ['Accept', 'authorization'] }, { credential: 'none' }],
  [{ target: 'http://sallyport.internal/', host: 'sallyport.internal' }, { own_name: true }],
  [{ target: 'http://x.SALLYPORT.internal./', host: 'x.sallyport.internal' }, { own_name: true }],
  [{ target: 'http://notsallyport.internal/', host: 'notsallyport.internal' }, { own_name: false }],
  [{ target: 'http://site.test/', host: 'site.test', head: { framing: { kind: 'length', bytes: 7 } } }, { body_bytes: 7 }],
  [{ target: 'http://site.test/', host: 'site.test', head: { framing: { kind: 'chunked' } } }, { body_bytes: undefined }],
];

for (const [index, [given, expected]] of read.entries()) {
  test(`${index}: ${given.method ?? given.form?.kind ?? 'GET'} ${given.target} with Host ${given.host}${given.headers === undefined ? '' : ` and ${given.headers[0]}`} ${given.head === undefined ? '' : JSON.stringify(given.head)}`, (t) => {
    t.like(describe(exchange(given)), expected);
  });
}

const refused: readonly (readonly [title: string, given: Given, code: ErrorCode])[] = [
  ['user information', { target: 'http://user:pass@site.test/', host: 'site.test' }, 'ambiguous_target'],
  ['a percent-encoded host', { target: 'http://s%69te.test/', host: 'site.test' }, 'ambiguous_target'],
  ['two dots at the end', { target: 'http://site.test../', host: 'site.test' }, 'ambiguous_target'],
  ['an empty port', { target: 'http://site.test:/', host: 'site.test' }, 'ambiguous_target'],
  ['port 0', { target: 'http://site.test:0/', host: 'site.test' }, 'ambiguous_target'],
  ['a backslash in the authority', { target: 'http://site.test\\@evil.test/', host: 'site.test' }, 'ambiguous_target'],
  ['a zone id', { target: 'http://[fe80::1%25lo]/', host: 'x' }, 'ambiguous_target'],
  ['a Host that is no host', { target: 'http://site.test/', host: 'site.test/x' }, 'ambiguous_target'],
  ['an empty Host', { target: 'http://site.test/', host: '' }, 'ambiguous_target'],
  ['two Host fields', { target: 'http://site.test/', host: 'site.test', headers: ['host', 'site.test'] }, 'ambiguous_target'],
  ['a fragment', { target: 'http://site.test/#x', host: 'site.test' }, 'ambiguous_target'],
  ['dot segments', { target: 'http://site.test/a/../b', host: 'site.test' }, 'path_not_canonical'],
  ['two slashes', { target: 'http://site.test//a', host: 'site.test' }, 'path_not_canonical'],
  ['a query key that policy could not look at whole', { target: `http://site.test/?${'k'.repeat(300)}`, host: 'site.test' }, 'not_supported'],
  ['two protocols that are no web sockets', { target: 'http://site.test/', host: 'site.test', head: { upgrade: 'a, b' } }, 'not_supported'],
  ['a web socket by another method', { target: 'http://site.test/', host: 'site.test', head: { method: 'POST', upgrade: 'websocket' } }, 'bad_request'],
  ['a CONNECT without port', { target: 'site.test', method: 'CONNECT', form: connect, host: 'site.test' }, 'ambiguous_target'],
];

for (const [title, given, code] of refused) {
  test(`${code}: ${title}`, (t) => {
    const error = t.throws(() => describe(exchange(given)), { instanceOf: SallyportError });
    t.is(error?.code, code);
  });
}

test('a path that is not canonical is refused with the one that would be judged', (t) => {
  const error = t.throws(() => describe(exchange({ target: 'http://site.test/a/./b?q', host: 'site.test' })), { instanceOf: SallyportError });
  t.deepEqual(error?.extras.next_steps, ['Send "/a/b?q" instead.']);
});
