import test from 'ava';
import { Readable } from 'node:stream';
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { jsonBodyLimit, readJson } from '../../../control-plane/http/body.ts';

const schema = z.strictObject({ text: z.string().optional(), list: z.array(z.strictObject({ n: z.int() })).optional() });
const request = (body: string | Buffer, headers: IncomingMessage['headers'] = {}) => ({ req: Object.assign(Readable.from([Buffer.from(body)]), { headers }) as unknown as IncomingMessage });

test('a body is an object of its schema, and no body is the empty one', async (t) => {
  t.deepEqual(await readJson(request('{"text":"hello"}'), schema), { text: 'hello' });
  t.deepEqual(await readJson(request(''), schema), {});
});

test('every mistake is told with its path', async (t) => {
  const table: readonly [string, string, readonly string[]][] = [
    ['{"list":[{"n":1},{"n":"x"}]}', 'invalid_request', ['list[1].n']],
    ['{"colour":1,"list":[{"n":1,"m":2}]}', 'invalid_request', ['list[0].m', 'colour']],
    ['{"text":"a\\u0000b"}', 'invalid_request', ['text']],
    ['{"text":"\\ud800"}', 'invalid_request', ['text']],
    ['{"list":[{"n":1,"\\u0000":2}]}', 'invalid_request', ['list[0]']],
    ['[]', 'invalid_request', ['']],
    ['null', 'invalid_request', ['']],
    ['{"__proto__":{"text":"x"}}', 'invalid_request', ['__proto__']],
  ];
  for (const [body, code, paths] of table) {
    const error = await t.throwsAsync(readJson(request(body), schema), { code }, body) as unknown as { extras: { errors: { path: string }[] } } | undefined;
    t.deepEqual(error?.extras.errors.map(({ path }) => path), [...paths], body);
  }
});

test('a field that is not there is told as missing, one of another type as that', async (t) => {
  await t.throwsAsync(readJson(request('{"list":[{}]}'), schema), { message: 'list[0].n: is missing' });
  await t.throwsAsync(readJson(request('{"list":[{"n":"x"}]}'), schema), { message: /^list\[0\]\.n: .*expected/ });
});

test('what is not JSON, too large or too deep is refused without harm', async (t) => {
  await t.throwsAsync(readJson(request('{'), schema), { code: 'malformed_json' });
  await t.throwsAsync(readJson(request(`{"text":"${'x'.repeat(jsonBodyLimit)}"}`), schema), { code: 'body_too_large' });
  await t.throwsAsync(readJson(request('', { 'content-length': String(jsonBodyLimit + 1) }), schema), { code: 'body_too_large' });
  await t.throwsAsync(readJson(request(`{"list":${'['.repeat(100_000)}${']'.repeat(100_000)}}`), schema), { code: 'invalid_request' });
});

test('mistakes below a long name do not multiply it: an agent of 235 KB made an answer of 1.5 GB', async (t) => {
  const name = 'k'.repeat(100_000);
  const many = (one: string): string => Array(15_000).fill(one).join(',');
  const params = z.strictObject({ params: z.record(z.string(), z.array(z.int())) });
  for (const [body, wanted] of [[`{"${name}":[${many('"\\u0000"')}]}`, schema], [`{"params":{"${name}":[${many('"x"')}]}}`, params], [`{${Array.from({ length: 15_000 }, (_, index) => `"u${index}":1`).join(',')}}`, schema]] as const) {
    const error = await t.throwsAsync(readJson(request(body), wanted), { code: 'invalid_request' }) as unknown as { message: string; extras: object };
    t.true(JSON.stringify(error.extras).length + error.message.length < 20_000);
  }
});
