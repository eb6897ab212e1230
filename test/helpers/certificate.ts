import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lifetime } from './lifetime.ts';
import { temporaryFolder } from './temporary.ts';

export interface Certificate {
  readonly key: string;
  /** PEM, and its file: it vouches for itself. */
  readonly cert: string;
  readonly file: string;
}

/** A certificate for these names, such as `IP:10.77.0.1` or `DNS:site.test`; needs the command openssl. */
export async function makeCertificate(lifetime: Lifetime, ...names: readonly string[]): Promise<Certificate> {
  const folder = await temporaryFolder(lifetime);
  const [key, file] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', file,
    '-days', '2', '-subj', '/CN=test', '-addext', `subjectAltName=${names.join(',')}`,
  ], { stdio: 'ignore' });
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(file, 'utf8'), file };
}
