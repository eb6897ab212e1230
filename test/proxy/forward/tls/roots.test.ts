import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { promisify } from 'node:util';
import test from 'ava';
import { originContext, systemRoots } from '../../../../proxy/forward/tls/roots.ts';
import { fileLifetime } from '../../../helpers/lifetime.ts';
import { temporaryFolder } from '../../../helpers/temporary.ts';
import { TestAuthority } from '../../../helpers/test-authority.ts';

const file = fileLifetime();
let one: TestAuthority;
let two: TestAuthority;
let folder: string;
/** In TLS, with a certificate of the second authority. */
let port: number;
test.before(async () => {
  [one, two] = [await TestAuthority.make(file, 'One'), await TestAuthority.make(file, 'Two')];
  folder = await temporaryFolder(file);
  await writeFile(join(folder, 'one.pem'), `${one.cert}${one.cert}`);
  await writeFile(join(folder, 'two.pem'), two.cert);
  const server = createServer(two.issue({ names: ['DNS:origin.test'] }), (socket) => { socket.on('error', () => { /* The other side tells. */ }); });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  file.teardown(() => server.close());
  ({ port } = server.address() as AddressInfo);
});

const script = `
import { connect } from 'node:tls';
import { originContext, systemRoots } from ${JSON.stringify(new URL('../../../../proxy/forward/tls/roots.ts', import.meta.url).href)};
const [port, configured] = process.argv.slice(1);
const roots = systemRoots();
let secureContext;
try { secureContext = originContext(configured === '' ? undefined : configured)(); } catch (error) { console.log(roots.length, error.code); process.exit(); }
const socket = connect({ host: '127.0.0.1', port: Number(port), servername: 'origin.test', secureContext, rejectUnauthorized: true });
socket.once('secureConnect', () => { console.log(roots.length, 'verified'); process.exit(); });
socket.once('error', (error) => { console.log(roots.length, error.code); process.exit(); });
`;

/** How many authorities a process with these variables finds on its system, and what it says of the origin. */
async function seen(env: Readonly<Record<string, string>>, configured: string = ''): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script, String(port), configured], { env });
  return stdout.trim();
}

const at = (name: string): string => join(folder, name);
const nothing = { SSL_CERT_DIR: '/nonexistent' };

const table: readonly (readonly [title: string, env: () => Readonly<Record<string, string>>, configured: () => string, expected: string])[] = [
  ['those of SSL_CERT_FILE, each once', () => ({ ...nothing, SSL_CERT_FILE: at('one.pem') }), () => '', '1 UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ['the origin\'s among them', () => ({ ...nothing, SSL_CERT_FILE: at('two.pem') }), () => '', '1 verified'],
  ['those of SSL_CERT_DIR', () => ({ SSL_CERT_FILE: '/nonexistent', SSL_CERT_DIR: folder }), () => '', '2 verified'],
  ['those that are configured beside the system\'s', () => ({ ...nothing, SSL_CERT_FILE: at('one.pem') }), () => two.cert, '1 verified'],
  ['those that are configured where the system has none', () => ({ ...nothing, SSL_CERT_FILE: '/nonexistent' }), () => two.cert, '0 verified'],
  ['none: nothing is taken, not even by those that Node brings along', () => ({ ...nothing, SSL_CERT_FILE: '/nonexistent' }), () => '', '0 upstream_tls'],
  ['not those of NODE_EXTRA_CA_CERTS', () => ({ ...nothing, SSL_CERT_FILE: at('one.pem'), NODE_EXTRA_CA_CERTS: at('two.pem') }), () => '', '1 UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ['not less by NODE_TLS_REJECT_UNAUTHORIZED', () => ({ ...nothing, SSL_CERT_FILE: at('one.pem'), NODE_TLS_REJECT_UNAUTHORIZED: '0' }), () => '', '1 UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
];
for (const [title, env, configured, expected] of table) {
  test(`authorities of origins are ${title}`, async (t) => {
    t.is(await seen(env(), configured()), expected);
  });
}

test('without any authority the operator is told what to do', (t) => {
  const error = t.throws(originContext(undefined, () => []), { code: 'upstream_tls', message: /knows no certificate authority/ });
  t.regex((error as Error & { extras: { next_steps: readonly string[] } }).extras.next_steps[0]!, /ca-certificates.*--upstream-ca FILE/);
});

test('the context is made once, and only when it is asked for', (t) => {
  let asked = 0;
  const context = originContext(one.cert, () => { asked++; return []; });
  t.is(asked, 0);
  t.is(context(), context());
  t.is(asked, 1);
});

test('the system\'s authorities are told each once', (t) => {
  const roots = systemRoots();
  t.is(new Set(roots).size, roots.length);
});
