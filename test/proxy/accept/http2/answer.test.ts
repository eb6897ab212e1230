import { connect } from 'node:http2';
import test from 'ava';
import { array, asyncProperty, assert, constantFrom, oneof, stringMatching, tuple } from 'fast-check';
import { answerFields, isGrpc, refusalAnswer } from '../../../../proxy/accept/http2/answer.ts';
import type { Refusal, RequestHead } from '../../../../proxy/exchange.ts';
import { catalogueRefusal } from '../../../../proxy/refusal.ts';
import { within } from '../../../helpers/wait.ts';
import { answerHead, startHttp2 } from './world.ts';

const asked = (headers: readonly string[], method: string = 'POST'): RequestHead => ({ method, target: '/', version: '2', headers, framing: { kind: 'none' }, expects_continue: false, upgrade: undefined });
const fieldOf = (fields: readonly string[], name: string): string | undefined => fields[fields.findIndex((text, index) => index % 2 === 0 && text === name) + 1];

test('fields of one hop, those that Connection names, and a length that is none are left out', (t) => {
  t.deepEqual(answerFields(answerHead(200, ['Connection', 'close, X-Hop', 'X-Hop', '1', 'Keep-Alive', 'x', 'Proxy-Authenticate', 'Basic', 'Transfer-Encoding', 'chunked', 'Upgrade', 'h2c', 'TE', 'trailers', 'Trailer', 'x', 'Content-Length', '3', 'X-A', 'B'])), [':status', '200', 'content-length', '3', 'x-a', 'B']);
  for (const status of [103, 204, 205]) t.deepEqual(answerFields(answerHead(status, ['Content-Length', '3'])), [':status', String(status)]);
  t.deepEqual(answerFields(answerHead(304, ['Content-Length', '3'])), [':status', '304', 'content-length', '3']);
});

test('gRPC is told by its content type, and gRPC for browsers is not it', (t) => {
  for (const type of ['application/grpc', 'application/grpc+proto', 'Application/gRPC;x=y']) t.true(isGrpc(['Content-Type', type]), type);
  for (const type of ['application/grpc-web', 'application/grpcx', 'application/json', '']) t.false(isGrpc(['content-type', type]), type);
  t.false(isGrpc([]));
});

const grpc = ['content-type', 'application/grpc'];
const statuses: readonly (readonly [Refusal['code'], string])[] = [
  ['policy_denied', '7'], ['core.host_mismatch', '7'], ['budget_exhausted', '8'], ['rate_limited', '8'], ['overloaded', '14'], ['upstream_dns', '14'], ['upstream_timeout', '14'],
  ['bad_request', '3'], ['not_supported', '12'], ['proxy_authentication_required', '16'], ['internal', '13'], ['disk_full', '2'],
];
test('each refusal has a status of gRPC in a head that is all there is', (t) => {
  for (const [code, status] of statuses) {
    const { fields, body } = refusalAnswer(catalogueRefusal(code, 'Why.'), asked(grpc));
    t.deepEqual([fieldOf(fields, ':status'), fieldOf(fields, 'grpc-status'), body], ['200', status, undefined], code);
    t.true(fieldOf(fields, 'grpc-message')!.includes(code), code);
  }
  t.is(fieldOf(refusalAnswer(catalogueRefusal('rate_limited', 'Why.', { retry_after: 0.25 }), asked(grpc)).fields, 'grpc-retry-pushback-ms'), '250');
});

test('a message is printable ASCII that decodes to what was said, whatever that was', (t) => {
  const { fields } = refusalAnswer(catalogueRefusal('policy_denied', '50% of "\u{1f600}" \r\n\0 \u00e9'), asked(grpc));
  const message = fieldOf(fields, 'grpc-message')!;
  t.regex(message, /^[ -~]+$/);
  t.true(decodeURIComponent(message).includes('50% of "\u{1f600}" \r\n\0 \u00e9'));
  t.true(fieldOf(refusalAnswer(catalogueRefusal('policy_denied', 'x'.repeat(100_000)), asked(grpc)).fields, 'grpc-message')!.length < 3000);
});

test('HEAD hears of the length of what it does not get', (t) => {
  const { fields, body } = refusalAnswer(catalogueRefusal('policy_denied', 'Why.'), asked([], 'HEAD'));
  t.is(body, undefined);
  t.true(Number(fieldOf(fields, 'content-length')) > 100);
});

test('whatever an origin may say in a head or in trailers by HTTP/1 reaches the client, and nothing of it makes Node throw', async (t) => {
  let said: { readonly headers: readonly string[]; readonly trailers: readonly string[] } = { headers: [], trailers: [] };
  const world = await startHttp2(t, ({ transfer }) => {
    transfer.interim(answerHead(103, said.headers));
    transfer.begin(answerHead(200, said.headers));
    transfer.write(Buffer.from('x'));
    transfer.flush();
    transfer.end(said.trailers);
    return Promise.resolve();
  });
  const session = connect(`http://127.0.0.1:${world.port}`, { strictSingleValueFields: false } as object);
  t.teardown(() => { session.destroy(); });
  const name = oneof(
    constantFrom('Set-Cookie', 'Content-Type', 'Date', 'ETag', 'Location', 'HTTP2-Settings', 'Upgrade', 'Connection', 'Keep-Alive', 'Proxy-Connection', 'TE', 'Host', 'Cookie', '__proto__', 'constructor', 'Age', 'Retry-After'),
    stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}$/),
  );
  const value = stringMatching(/^[!-~\x80-\xff]{0,20}$/);
  const hops = new Set(['http2-settings', 'upgrade', 'connection', 'keep-alive', 'te', 'expect', 'trailer', 'transfer-encoding']);
  const length = new Set(['content-length']);
  const list = array(tuple(name, value), { maxLength: 6 });
  await assert(asyncProperty(list, list, async (headers, trailers) => {
    const named = new Set(headers.filter(([field]) => field.toLowerCase() === 'connection').flatMap(([, text]) => text.toLowerCase().split(',')));
    said = { headers: headers.filter(([field]) => !length.has(field.toLowerCase())).flat(), trailers: trailers.filter(([field]) => !length.has(field.toLowerCase())).flat() };
    const stream = session.request({ ':path': '/', ':authority': 'api.test' });
    const heard = await within('the answer', new Promise<{ raw: string[]; code: number }>((resolve) => {
      let raw: string[] = [];
      stream.on('response', (_fields, _flags, fields) => { raw = fields as unknown as string[]; });
      stream.on('error', () => { /* Its code says it. */ });
      stream.on('close', () => { resolve({ raw, code: stream.rstCode }); });
      stream.resume();
    }));
    const wanted = headers.flatMap(([field, text]) => {
      const lower = field.toLowerCase();
      return hops.has(lower) || named.has(lower) || lower.startsWith('proxy-') || length.has(lower) ? [] : [lower, text];
    });
    t.is(heard.code, 0);
    // The client of this test leaves out by itself what RFC 9110 has no use for in its place.
    t.deepEqual(heard.raw.slice(2).filter((_text, index, all) => all[index - index % 2] !== 'host'), wanted.filter((_text, index) => wanted[index - index % 2] !== 'host'));
  }), { numRuns: 300 });
});
