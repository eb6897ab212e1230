import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { certificatesOf } from '../../../sandbox/trust/certificates.ts';
import { javaKeystore } from '../../../sandbox/trust/java-keystore.ts';
import { needs } from '../../helpers/needs.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const test = needs('command keytool');

const some = rootCertificates.slice(0, 3);

test('keytool reads the keystore, checks its digest, and finds every certificate in it', async (t) => {
  const file = join(await temporaryFolder(t), 'cacerts');
  await writeFile(file, javaKeystore(certificatesOf(some.join('\n'))));
  const said = execFileSync('keytool', ['-list', '-keystore', file, '-storepass', 'changeit'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  t.regex(said, /Keystore type: JKS/);
  const listed = [...said.matchAll(/fingerprint \(SHA-256\): ([0-9A-F:]+)/g)].map(([, print]) => print);
  t.deepEqual(listed.toSorted(), some.map((pem) => new X509Certificate(pem).fingerprint256).toSorted());

  const broken = javaKeystore(certificatesOf(some.join('\n')));
  broken.writeUInt8(broken.readUInt8(200) ^ 1, 200);
  await writeFile(file, broken);
  t.throws(() => execFileSync('keytool', ['-list', '-keystore', file, '-storepass', 'changeit'], { stdio: 'ignore' }));
});

test('a bundle is read as its certificates in their order, whatever stands between them', (t) => {
  const digests = (certificates: readonly Buffer[]): readonly string[] => certificates.map((one) => createHash('sha256').update(one).digest('hex'));
  const bundle = `# First\n${some.join('\n# Next\n')}\n-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n`;
  t.deepEqual(digests(certificatesOf(bundle.replaceAll('\n', '\r\n'))), digests(some.map((pem) => new X509Certificate(pem).raw)));
  t.deepEqual(certificatesOf('nothing'), []);
});
