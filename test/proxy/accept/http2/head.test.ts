import test from 'ava';
import { array, assert, constantFrom, integer, property, tuple } from 'fast-check';
import { judgeHttp2Request } from '../../../../proxy/accept/http2/head.ts';

const good: readonly string[] = [':method', 'POST', ':scheme', 'https', ':authority', 'api.test', ':path', '/a?b'];
const judged = (raw: readonly string[], ends: boolean = false) => judgeHttp2Request(raw, 'https', ends);

test('a head becomes that of a request whose host is :authority', (t) => {
  const result = judged([...good, 'x-one', '1', 'cookie', 'a=1', 'te', 'trailers', 'cookie', 'b=2', 'x-one', '2', 'x-latin', '\xe9']);
  t.deepEqual(result, {
    kind: 'request',
    head: {
      method: 'POST', target: '/a?b', version: '2', framing: { kind: 'chunked' }, expects_continue: false, upgrade: undefined,
      headers: ['host', 'api.test', 'x-one', '1', 'cookie', 'a=1; b=2', 'te', 'trailers', 'x-one', '2', 'x-latin', '\xe9'],
    },
  });
});

const framings: readonly (readonly [readonly string[], boolean, unknown, boolean])[] = [
  [[], true, { kind: 'none' }, false], [[], false, { kind: 'chunked' }, false], [['content-length', '5'], false, { kind: 'length', bytes: 5 }, false],
  [['content-length', '0'], true, { kind: 'none' }, false], [['content-length', '0'], false, { kind: 'length', bytes: 0 }, false],
  [['expect', '100-Continue'], false, { kind: 'chunked' }, true], [['expect', '100-continue'], true, { kind: 'none' }, false],
];
test('framing follows the end of the stream and Content-Length', (t) => {
  for (const [fields, ends, framing, expects_continue] of framings) {
    const result = judged([...good, ...fields], ends);
    t.is(result.kind, 'request');
    if (result.kind === 'request') t.deepEqual([result.head.framing, result.head.expects_continue], [framing, expects_continue], JSON.stringify(fields));
  }
});

const without = (name: string): readonly string[] => good.filter((_text, index) => good[index - index % 2] !== name);
const bad: readonly (readonly [string, readonly string[], boolean?])[] = [
  ['no method', without(':method')], ['no scheme', without(':scheme')], ['no path', without(':path')], ['no authority', without(':authority')],
  ['an empty authority', [...without(':authority').slice(0, 4), ':authority', '', ':path', '/']],
  ['a method twice', [...good.slice(0, 2), ...good]], ['a path twice', [...good, ':path', '/a?b']], ['another pseudo-field', [...good, ':protocol', 'websocket']],
  [':status', [...good, ':status', '200']], ['a pseudo-field behind a field', [...good.slice(0, 6), 'x', 'y', ':path', '/']], ['a pseudo-field behind host', [...good.slice(0, 6), 'host', 'api.test', ':path', '/']],
  ['another scheme', [':method', 'GET', ':scheme', 'http', ':authority', 'a.test', ':path', '/']],
  ['another host', [...good, 'host', 'other.test']], ['the host spelled differently', [...good, 'host', 'API.test']], ['the host twice', [...without(':authority'), 'host', 'a.test', 'host', 'a.test']],
  ['an empty path', [...without(':path'), ':path', '']], ['a fragment', [...without(':path'), ':path', '/#x']], ['a space in the path', [...without(':path'), ':path', '/a b']],
  ['upper case', [...good, 'X-A', 'b']], ['an empty name', [...good, '', 'b']], ['a space in a name', [...good, 'x a', 'b']], ['a colon in a name', [...good, 'x:a', 'b']],
  ['CR LF in a value', [...good, 'x', 'a\r\nb: c']], ['NUL in a value', [...good, 'x', 'a\0b']], ['DEL in a value', [...good, 'x', 'a\x7f']], ['a space before a value', [...good, 'x', ' a']], ['a tab behind a value', [...good, 'x', 'a\t']],
  ...['connection', 'proxy-connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'http2-settings'].map((name) => [name, [...good, name, 'x']] as const),
  ['te of more than trailers', [...good, 'te', 'trailers, gzip']], ['te in upper case', [...good, 'te', 'Trailers']],
  ['two lengths', [...good, 'content-length', '1', 'content-length', '1']], ['a length in octal', [...good, 'content-length', '01']], ['a signed length', [...good, 'content-length', '+1']],
  ['something like a length', [...good, 'content_length', '1']], ['a length and no body', [...good, 'content-length', '1'], true], ['TRACE with a body', [':method', 'TRACE', ...good.slice(2)]],
  ['another expectation', [...good, 'expect', 'x']], ['101 fields', [...good, ...Array.from({ length: 100 }, (_none, index) => [`x${index}`, 'y']).flat()]],
  ['more than 64 KiB', [...good, 'x', 'y'.repeat(65_536)]],
];
for (const [title, raw, ends] of bad) {
  test(`refused: ${title}`, (t) => {
    const result = judged(raw, ends);
    t.is(result.kind, 'bad');
    if (result.kind === 'bad') {
      t.is(result.code, 'bad_request');
      t.regex(result.detail, /^[A-Z].*\.$/);
    }
  });
}

test('CONNECT of either kind and methods of other protocols are not supported', (t) => {
  for (const raw of [[':method', 'CONNECT', ':authority', 'a.test:1'], [':method', 'CONNECT', ...good.slice(2)], [':method', 'BREW', ...good.slice(2)], [':method', 'get', ...good.slice(2)]]) {
    const result = judged(raw);
    t.is(result.kind === 'bad' ? result.code : 'request', 'not_supported');
  }
});

/** Everything that a good head must be, said anew: field by field, without what the rules are made of. */
function oracle(raw: readonly string[]): boolean {
  const pairs = Array.from({ length: raw.length / 2 }, (_none, index) => [raw[index * 2]!, raw[index * 2 + 1]!] as const);
  const count = (name: string): number => pairs.filter(([named]) => named === name).length;
  const value = (name: string): string | undefined => pairs.find(([named]) => named === name)?.[1];
  const pseudo = pairs.filter(([name]) => name[0] === ':');
  if (!pairs.slice(0, pseudo.length).every(([name]) => name[0] === ':')) return false;
  if (pseudo.some(([name]) => !['method', 'scheme', 'path', 'authority'].includes(name.slice(1)) || count(name) > 1)) return false;
  if (!['GET', 'POST'].includes(value(':method') ?? '') || value(':scheme') !== 'https' || value(':path') === undefined || [...value(':path')!].some((letter) => letter <= ' ' || letter > '~' || letter === '#')) return false;
  if (value(':path') === '') return false;
  const authority = value(':authority') ?? value('host');
  if (authority === undefined || authority === '' || count('host') > 1 || (count('host') === 1 && value('host') !== authority)) return false;
  for (const [name, text] of pairs) {
    const bare = name.replace(/^:/, '');
    if (bare === '' || bare !== bare.toLowerCase() || /[^!-~]|[()<>@,;:\\"/[\]?={}]/.test(bare)) return false;
    if ([...text].some((letter) => letter !== '\t' && (letter < ' ' || letter === '\x7f')) || text !== text.replace(/^[ \t]+|[ \t]+$/g, '')) return false;
    if (['connection', 'upgrade', 'transfer-encoding'].includes(name) || (name === 'te' && text !== 'trailers')) return false;
    if (name.replace('_', '-') === 'content-length' && (name !== 'content-length' || count(name) > 1 || String(Number.parseInt(text, 10)) !== text || text.startsWith('-'))) return false;
  }
  return true;
}

test('a head is taken exactly when an oracle of its own takes it, and nothing is added or lost', (t) => {
  const name = constantFrom(':method', ':scheme', ':path', ':authority', ':protocol', 'host', 'x-a', 'X-A', 'x b', '', 'cookie', 'te', 'connection', 'upgrade', 'content-length', 'content_length', 'content-type');
  const value = constantFrom('GET', 'POST', 'https', 'http', '/', '/a b', '/a#', '', 'api.test', 'b.test', 'trailers', '5', '05', ' x', 'x\t', 'a\nb', 'a\0', '\xe9', 'plain');
  const start = constantFrom(good, good, good.slice(2), good.slice(0, 6), without(':authority'));
  let taken = 0;
  assert(property(start, array(tuple(name, value), { maxLength: 4 }), integer({ min: 0, max: 4 }), (first, more, at) => {
    const fields = more.flat();
    const raw = [...first.slice(0, at * 2), ...fields.slice(0, 2), ...first.slice(at * 2), ...fields.slice(2)];
    const result = judged(raw);
    t.is(result.kind === 'request', oracle(raw), JSON.stringify(raw));
    if (result.kind !== 'request') return;
    taken++;
    const cookies = raw.filter((_text, index) => index % 2 === 1 && raw[index - 1] === 'cookie');
    const ordinary = raw.flatMap((text, index) => (index % 2 === 0 && !text.startsWith(':') && text !== 'host' && text !== 'cookie' ? [text, raw[index + 1]!] : []));
    const { headers } = result.head;
    t.deepEqual(headers.filter((_text, index) => headers[index - index % 2] !== 'cookie').slice(2), ordinary);
    t.deepEqual(headers.flatMap((text, index) => (text === 'cookie' && index % 2 === 0 ? [headers[index + 1]!] : [])), cookies.length === 0 ? [] : [cookies.join('; ')]);
  }), { numRuns: 5000 });
  t.true(taken > 300, String(taken));
});
