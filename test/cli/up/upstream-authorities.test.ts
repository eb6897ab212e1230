import { X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { readUpstreamAuthorities } from '../../../cli/up/upstream-authorities.ts';
import { SallyportError } from '../../../contracts/errors.ts';
import { makeCertificate } from '../../helpers/certificate.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { TestAuthority } from '../../helpers/test-authority.ts';

test('the certificates of all files are taken, and nothing else that lies beside them', async (t) => {
  const folder = await temporaryFolder(t);
  const [one, two] = [await TestAuthority.make(t, 'One'), await TestAuthority.make(t, 'Two')];
  const alone = await makeCertificate(t, 'DNS:site.test');
  await writeFile(join(folder, 'one.pem'), `# One, and two\r\n${one.cert.replaceAll('\n', '\r\n')}\n${alone.key}${two.cert}`);
  const text = readUpstreamAuthorities([join(folder, 'one.pem'), alone.file]) ?? '';
  t.deepEqual(text.match(/-----BEGIN [^-]*-----/g), Array.from({ length: 3 }, () => '-----BEGIN CERTIFICATE-----'));
  t.is(text, [one.cert, two.cert, alone.cert].map((cert) => new X509Certificate(cert).toString()).join(''));
  t.is(readUpstreamAuthorities([]), undefined);
});

const mistakes: readonly (readonly [title: string, content: (authority: TestAuthority) => string | undefined, message: RegExp])[] = [
  ['is not there', () => undefined, /\/ca\.pem cannot be read \(ENOENT\)/],
  ['is empty', () => '', /\/ca\.pem holds no certificate in PEM/],
  ['holds a key alone', (authority) => authority.issue({ names: [] }).key, /\/ca\.pem holds no certificate in PEM/],
  ['is broken in its second certificate', (authority) => `${authority.cert}${authority.cert.replace(/[A-Za-z0-9+/]{20}\n/, 'AAAAAAAAAAAAAAAAAAAA\n')}`, /\/ca\.pem holds a certificate \(number 2\) that cannot be read/],
  ['holds the certificate of a server that an authority has signed', (authority) => authority.issue({ names: ['DNS:a.test'] }).cert, /\/ca\.pem holds a certificate \(number 1\) that is no authority's/],
  ['is larger than 1 MiB', () => '#'.repeat(1024 * 1024 + 1), /\/ca\.pem is larger/],
];
for (const [title, content, message] of mistakes) {
  test(`a file that ${title} ends with exit 78 and its path`, async (t) => {
    const file = join(await temporaryFolder(t), 'ca.pem');
    const text = content(await TestAuthority.make(t));
    if (text !== undefined) await writeFile(file, text);
    const error = t.throws(() => readUpstreamAuthorities([file, '/']), { instanceOf: SallyportError, message });
    t.is(error?.entry.exit, 78);
    t.regex(error?.message ?? '', /--upstream-ca \/ is not a file/);
  });
}

test('files are as many as anybody needs', (t) => {
  t.throws(() => readUpstreamAuthorities(Array.from({ length: 33 }, () => '/x')), { message: /more than 32 times/ });
});
