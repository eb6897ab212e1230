import test from 'ava';
import * as fc from 'fast-check';
import { redacted, redactHeaders as redactedText, redactUrl } from '../../contracts/redaction.ts';

const redactHeaders = (headers: readonly string[]): [string, string][] => JSON.parse(redactedText(headers)) as [string, string][];

test('fields that are nobody\'s secret keep their values, of others only the name stays', (t) => {
  t.deepEqual(redactHeaders([
    'Host', 'site.example', 'User-Agent', 'curl/8', 'AUTHORIZATION', 'Bearer abc', 'Cookie', 'a=b', 'X-Api-Key', 'abc', 'content-type', 'text/plain',
    'Location', 'http://site.example/a?token=abc#x', 'Referer', 'http://site.example/?token=abc', 'Set-Cookie', 'sid=1', 'Proxy-Authorization', 'Basic abc',
  ]), [
    ['Host', 'site.example'], ['User-Agent', 'curl/8'], ['AUTHORIZATION', redacted], ['Cookie', redacted], ['X-Api-Key', redacted], ['content-type', 'text/plain'],
    ['Location', 'http://site.example/a?'], ['Referer', redacted], ['Set-Cookie', redacted], ['Proxy-Authorization', redacted],
  ]);
});

test('a URL is shown without user information, query and fragment', (t) => {
  for (const [url, expected] of [
    ['/a/b', '/a/b'], ['/a?b=c', '/a?'], ['/a#b?c', '/a'], ['?a=b', '?'], ['http://site.example/a?b', 'http://site.example/a?'],
    ['http://user:secret@site.example/', redacted], ['//user@site.example/', redacted], ['http:///user@site.example/', redacted], ['\\\\user@site.example', redacted],
    ['mailto:a@site.example', redacted], ['javascript:alert(1)', redacted], ['data:text/plain,secret', redacted], ['/a@b', '/a@b'], ['', ''],
  ] as const) t.is(redactUrl(url), expected, url);
});

test('a recorded head has a bound, whatever was sent', (t) => {
  const many = Array.from({ length: 300 }, (_, index) => (index % 2 === 0 ? 'user-agent' : 'x'.repeat(5000)));
  const recorded = redactHeaders(many);
  t.is(recorded.length, 100);
  t.true(recorded.every(([, value]) => value.length <= 259));
  t.true(JSON.stringify(redactHeaders(['n'.repeat(5000), 'v', 'location', `/${'p'.repeat(5000)}?x`])).length < 500);
  t.deepEqual(redactHeaders(['alone']), []);
  const shown = redactHeaders(Array.from({ length: 100 }, () => ['accept-encoding', '"'.repeat(256)]).flat());
  t.deepEqual([shown.length, shown[0]?.[1].length, shown[99]?.[1]], [100, 256, redacted]);
  t.true(JSON.stringify(shown).length < 25 * 1024);
});

test('no value of an unlisted field is ever recorded', (t) => {
  const name = fc.stringMatching(/^[A-Za-z-]{1,20}$/).filter((text) => !['accept', 'connection', 'date', 'expect', 'host', 'server', 'upgrade', 'via', 'location'].includes(text.toLowerCase()));
  fc.assert(fc.property(fc.array(fc.tuple(name, fc.constant('s3cr3t-value')), { maxLength: 20 }), (fields) => {
    const shown = redactHeaders(fields.flat()).filter(([, value]) => value.includes('s3cr3t'));
    t.true(shown.every(([field]) => /^(?:accept-encoding|content-(?:encoding|length|type)|retry-after|transfer-encoding|user-agent)$/i.test(field)));
  }));
});

test('names that were seen before are recorded as they come', (t) => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.constantFrom('Accept', 'accept', 'ACCEPT', 'x-a"b', 'X-\u00ff'), fc.string({ unit: 'binary-ascii', maxLength: 8 })), { maxLength: 8 }), (fields) => {
    t.deepEqual(redactHeaders(fields.flat()), fields.map(([name, value]) => [name, name.toLowerCase() === 'accept' ? value : redacted]));
  }));
});
