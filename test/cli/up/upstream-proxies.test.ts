import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { SallyportError } from '../../../contracts/errors.ts';
import { readUpstreamProxies } from '../../../cli/up/upstream-proxies.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

async function fileWith(t: ExecutionContext, content: unknown, secret: string = 'user:pass:word\n', mode: number = 0o600): Promise<string> {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'secret'), secret);
  await chmod(join(folder, 'secret'), mode);
  const file = join(folder, 'upstream-proxies.json');
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

const rule = { hosts: ['*'], proxy: 'http://proxy.corp.example:3128', credentials_file: 'secret' };

test('credentials come from a file of their own, beside the list', async (t) => {
  t.deepEqual(readUpstreamProxies(await fileWith(t, [{ hosts: ['*.corp.example'], proxy: 'direct' }, rule])), [
    { hosts: ['*.corp.example'], proxy: 'direct', resolve: 'here' },
    { hosts: ['*'], proxy: 'http://proxy.corp.example:3128', resolve: 'here', credentials: 'user:pass:word' },
  ]);
});

const mistakes: readonly (readonly [title: string, content: unknown, secret: string, mode: number, paths: readonly string[], message: RegExp])[] = [
  ['no JSON', '{', '', 0o600, ['file'], /is not JSON/],
  ['no list', {}, '', 0o600, ['file'], /is not a list of rules/],
  ['no host', [{ ...rule, hosts: [] }], 'u:p', 0o600, ['0.hosts'], /names no host/],
  ['a secret in the address', [{ ...rule, proxy: 'http://u:hidden@proxy.corp.example:3128' }], 'u:p', 0o600, ['0.proxy'], /credentials_file/],
  ['several mistakes', [{ hosts: ['A'], proxy: 'ftp://x' }, { hosts: ['*'], proxy: 'direct', credentials: 'u:p' }], '', 0o600, ['0.hosts.0', '0.proxy', '1'], /0\.hosts\.0: .*0\.proxy: .*1: /],
  ['a secret that others can read', [rule], 'u:p', 0o644, ['0.credentials_file'], /0600/],
  ['no secret there', [rule, { ...rule, credentials_file: 'absent' }], 'u:p', 0o600, ['1.credentials_file'], /does not exist/],
  ['a secret of two lines', [rule], 'user:p\nX: hidden', 0o600, ['0.credentials_file'], /USER:PASSWORD/],
  ['a secret that is a folder', [{ ...rule, credentials_file: '.' }], '', 0o600, ['0.credentials_file'], /not a file/],
  ['a secret that is too large', [rule], `u:${'p'.repeat(5000)}`, 0o600, ['0.credentials_file'], /larger/],
];
for (const [title, content, secret, mode, paths, message] of mistakes) {
  test(`${title} ends with exit 78 and the place`, async (t) => {
    const file = await fileWith(t, content, secret, mode);
    const error = t.throws(() => readUpstreamProxies(file), { instanceOf: SallyportError, message });
    t.is(error?.entry.exit, 78);
    t.deepEqual(error?.extras.errors?.map(({ path }) => path), [...paths]);
    t.false(error?.message.includes('hidden'));
  });
}

test('a list that is not there is told as such', (t) => {
  t.throws(() => readUpstreamProxies('/nowhere/list.json'), { message: /\/nowhere\/list\.json does not exist\.$/ });
});
