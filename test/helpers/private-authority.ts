import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lifetime } from './lifetime.ts';
import { temporaryFolder } from './temporary.ts';

export interface PrivateAuthority {
  /** PEM file of the authority's own certificate. */
  readonly file: string;
  /** PEM of a server that it vouches for. */
  readonly key: string;
  readonly cert: string;
}

/** A certificate authority of nobody's, and one server certificate for these names, such as `DNS:site.test`; needs the command openssl. */
export async function privateAuthority(lifetime: Lifetime, ...names: readonly string[]): Promise<PrivateAuthority> {
  const folder = await temporaryFolder(lifetime);
  const path = (name: string): string => join(folder, name);
  const openssl = (...args: readonly string[]): void => { execFileSync('openssl', args, { stdio: 'pipe' }); };
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req', '-x509', ...curve, '-keyout', path('ca.key'), '-out', path('ca.pem'), '-days', '2', '-subj', '/CN=an authority of the tests',
    '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign',
  );
  openssl('req', ...curve, '-keyout', path('key.pem'), '-out', path('request.pem'), '-subj', '/CN=a server of the tests');
  writeFileSync(path('extensions'), [
    `subjectAltName=${names.join(',')}`, 'basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature', 'extendedKeyUsage=serverAuth',
    'subjectKeyIdentifier=hash', 'authorityKeyIdentifier=keyid',
  ].join('\n'));
  openssl('x509', '-req', '-in', path('request.pem'), '-CA', path('ca.pem'), '-CAkey', path('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', path('extensions'), '-out', path('cert.pem'));
  const read = (name: string): string => readFileSync(path(name), 'utf8');
  return { file: path('ca.pem'), key: read('key.pem'), cert: read('cert.pem') };
}
