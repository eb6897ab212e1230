import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lifetime } from './lifetime.ts';
import { temporaryFolder } from './temporary.ts';

export interface Issued {
  readonly key: string;
  /** PEM: the certificate, and behind it those of intermediate authorities. */
  readonly cert: string;
}

export interface IssueOptions {
  /** Such as `DNS:site.test` or `IP:127.0.0.1`; none for a certificate that has but a common name. */
  readonly names: readonly string[];
  readonly commonName?: string;
  /** Days from now. */
  readonly from?: number;
  readonly to?: number;
  /** Another purpose than a server's. */
  readonly usage?: string;
  readonly rsa?: boolean;
  /** Whether the authority's own certificate comes along. */
  readonly chained?: boolean;
}

const day = 86_400_000;

/** OpenSSL's way to write a time. */
const stamp = (days: number): string => `${new Date(Date.now() + days * day).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;

const keyArguments = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const rsaArguments = ['-newkey', 'rsa:2048', '-nodes'];

/** A certificate authority made for one test by the command openssl. */
export class TestAuthority {
  readonly cert: string;
  readonly #folder: string;
  readonly #chain: string;
  #issued = 0;

  private constructor(folder: string, chain: string) {
    this.#folder = folder;
    this.#chain = chain;
    this.cert = readFileSync(join(folder, 'cert.pem'), 'utf8');
  }

  static async make(lifetime: Lifetime, name: string = 'Test Authority'): Promise<TestAuthority> {
    const folder = await temporaryFolder(lifetime);
    execFileSync('openssl', [
      'req', '-x509', ...keyArguments, '-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem'), '-days', '30', '-subj', `/O=Sallyport tests/CN=${name}`,
      '-addext', 'keyUsage=critical,keyCertSign,cRLSign',
    ], { stdio: 'ignore' });
    return new TestAuthority(folder, '');
  }

  issue({ names, commonName = 'test', from = -1, to = 2, usage = 'serverAuth', rsa = false, chained = false }: IssueOptions): Issued {
    const folder = this.#sign(`/CN=${commonName}`, [
      'basicConstraints=critical,CA:false', `extendedKeyUsage=${usage}`, ...(names.length === 0 ? [] : [`subjectAltName=${names.join(',')}`]),
    ], from, to, rsa);
    return { key: readFileSync(join(folder, 'key.pem'), 'utf8'), cert: readFileSync(join(folder, 'cert.pem'), 'utf8') + this.#chain + (chained ? this.cert : '') };
  }

  /** An authority below this one, for those names alone that `constraints` permits; what it issues comes with its own certificate. */
  intermediate(name: string = 'Test Intermediate', { from = -1, to = 20, constraints }: { readonly from?: number; readonly to?: number; readonly constraints?: string } = {}): TestAuthority {
    const folder = this.#sign(`/CN=${name}`, [
      'basicConstraints=critical,CA:true', 'keyUsage=critical,keyCertSign,cRLSign', ...(constraints === undefined ? [] : [`nameConstraints=critical,${constraints}`]),
    ], from, to);
    return new TestAuthority(folder, readFileSync(join(folder, 'cert.pem'), 'utf8') + this.#chain);
  }

  #sign(subject: string, extensions: readonly string[], from: number, to: number, rsa: boolean = false): string {
    const folder = join(this.#folder, String(this.#issued++));
    mkdirSync(folder);
    const file = (name: string): string => join(folder, name);
    execFileSync('openssl', ['req', '-new', ...(rsa ? rsaArguments : keyArguments), '-keyout', file('key.pem'), '-out', file('request.pem'), '-subj', subject], { stdio: 'ignore' });
    writeFileSync(file('index.txt'), '');
    writeFileSync(file('ca.cnf'), [
      '[ca]', 'default_ca=own', '[own]', `database=${file('index.txt')}`, `new_certs_dir=${folder}`, 'rand_serial=yes', 'default_md=sha256', 'policy=any', 'x509_extensions=extensions', 'unique_subject=no',
      '[any]', 'commonName=supplied', '[extensions]', 'subjectKeyIdentifier=hash', 'authorityKeyIdentifier=keyid', ...extensions, '',
    ].join('\n'));
    execFileSync('openssl', [
      'ca', '-batch', '-config', file('ca.cnf'), '-cert', join(this.#folder, 'cert.pem'), '-keyfile', join(this.#folder, 'key.pem'), '-in', file('request.pem'), '-out', file('cert.pem'),
      '-startdate', stamp(from), '-enddate', stamp(to), '-notext',
    ], { stdio: 'ignore' });
    return folder;
  }
}
