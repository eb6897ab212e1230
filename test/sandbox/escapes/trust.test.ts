/** What the jail trusts: that every client finds it, that nobody inside can change it, and that what signs it is out of reach. */
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { TLSSocket } from 'node:tls';
import type { ExecutionContext } from 'ava';
import { systemClock } from '../../../contracts/clock.ts';
import { openAuthorities, readTrusted } from '../../../proxy/intercept/authority/authorities.ts';
import { Leaves } from '../../../proxy/intercept/leaves.ts';
import { certificatesOf } from '../../../sandbox/trust/certificates.ts';
import { probe, runInJail, type JailOptions } from '../../helpers/jail.ts';
import { needs } from '../../helpers/needs.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const test = needs('jail', 'command python3');

interface Authority {
  readonly data: string;
  readonly ca: string;
}

async function makeAuthority(t: ExecutionContext): Promise<Authority> {
  const data = await temporaryFolder(t);
  return { data, ca: readTrusted(data) };
}

/** Where programs look on this host: each that there is, and what the variables name. */
const bundles = ['/etc/sallyport/trusted.pem', '/etc/ssl/cert.pem', '/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem'];
const files = [...bundles, '/etc/sallyport/ca.pem', '/etc/sallyport/cacerts', '/etc/ssl/certs/java/cacerts', '/etc/chromium/policies/managed/sallyport.json', '/etc/opt/chrome/policies/managed/sallyport.json'];

test.serial('every bundle that a program may read holds the public authorities and ours, and what adds to a list holds ours alone', async (t) => {
  const { ca } = await makeAuthority(t);
  const { stdout } = await runInJail(t, ['sh', '-c', `for f in ${bundles.join(' ')}; do if [ -e $f ]; then echo "== $f"; cat $f; fi; done; echo "== own"; cat "$NODE_EXTRA_CA_CERTS"; echo "== env"; cat "$SSL_CERT_FILE"`], { spec: { trust: { ca } } });
  const read = new Map(stdout.split(/^== /m).slice(1).map((part) => [part.slice(0, part.indexOf('\n')), certificatesOf(part).map((one) => new X509Certificate(one).fingerprint256)]));
  const [ours = ''] = certificatesOf(ca).map((one) => new X509Certificate(one).fingerprint256);
  const publicBundle = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt'].find((path) => existsSync(path));
  const theirs = publicBundle === undefined ? [] : certificatesOf(readFileSync(publicBundle, 'utf8')).map((one) => new X509Certificate(one).fingerprint256);
  t.deepEqual(read.get('own'), [ours]);
  t.deepEqual(read.get('env'), [...theirs, ours]);
  t.true(read.size >= 5, [...read.keys()].join(' '));
  for (const [path, prints] of read) if (path !== 'own') t.deepEqual(prints, [...theirs, ours], path);
});

test.serial('nothing of it is there in a run that is not looked into', async (t) => {
  const { stdout } = await runInJail(t, ['sh', '-c', 'ls -d /etc/sallyport /etc/chromium /etc/opt /etc/ssl/cert.pem 2>/dev/null; env | grep -c -i -E "cert|_ca_|cainfo|trustStore"']);
  t.is(stdout, '0\n');
});

/** Every way by which a path could come to hold something else. */
const changes = (paths: readonly string[]): string => `
libc.mount.restype = libc.umount2.restype = ctypes.c_int
def syscall(result):
    if result != 0: raise OSError(ctypes.get_errno(), '')
def text(path): return path.encode()
open('/tmp/evil', 'w').write('evil')
for path in ${JSON.stringify(paths)}:
    if not os.path.exists(path): continue
    real = os.path.realpath(path)
    before = open(path, 'rb').read()
    ways = {
        'write': lambda: os.close(os.open(path, os.O_WRONLY)),
        'truncate': lambda: os.truncate(path, 0),
        'chmod': lambda: os.chmod(path, 0o666),
        'chown': lambda: os.chown(path, os.getuid(), os.getgid()),
        'touch': lambda: os.utime(path),
        'unlink': lambda: os.unlink(path),
        'unlink target': lambda: os.unlink(real),
        'rename away': lambda: os.rename(real, real + '.old'),
        'rename over': lambda: os.rename('/tmp/evil', path),
        'link over': lambda: os.symlink('/tmp/evil', path + '.new'),
        'rename folder': lambda: os.rename(os.path.dirname(path), '/tmp/folder'),
        'hard link': lambda: os.link(real, '/tmp/linked'),
        'mount over': lambda: syscall(libc.mount(b'/tmp/evil', text(real), None, 4096, None)),
        'tmpfs over': lambda: syscall(libc.mount(b'tmpfs', text(os.path.dirname(real)), b'tmpfs', 0, None)),
        'unmount': lambda: syscall(libc.umount2(text(real), 2)),
        'remount': lambda: syscall(libc.mount(None, text(real), None, 32 | 4096, None)),
        'attribute': lambda: os.setxattr(real, 'user.x', b'y'),
    }
    for name, way in ways.items():
        said = attempt(way)
        if said not in ('EROFS', 'EPERM', 'EACCES', 'EBUSY', 'EXDEV', 'EEXIST'): print(path, name, said)
    if not os.path.exists(path) or open(path, 'rb').read() != before: print(path, 'has changed')
`;

test.serial('nothing that is trusted can be written, replaced, removed or mounted over', async (t) => {
  const { ca } = await makeAuthority(t);
  t.is(await probe(t, changes(files), { spec: { trust: { ca } } }), '');
  const without = await probe(t, changes(files), { spec: { trust: { ca } }, without: { root_file_system: 'writable' } });
  t.regex(without, /\/etc\/sallyport\/ca\.pem unlink ok/, 'a root that stays writable is what makes this test fail');
});

test.serial('the key that signs is nowhere in the jail, whatever way is tried', async (t) => {
  const { data, ca } = await makeAuthority(t);
  const [name = ''] = await readdir(join(data, 'ca'));
  const secret = /"private_key":\s*"-----BEGIN PRIVATE KEY-----\\n([A-Za-z0-9+/=]{40})/.exec(readFileSync(join(data, 'ca', name), 'utf8'))?.[1] ?? '';
  t.is(secret.length, 40);
  const work = join(dirname(data), `${data.split('/').at(-1)}-work`);
  await mkdir(work, { mode: 0o755 });
  await writeFile(join(work, 'planted'), secret);
  const script = `
import glob
found = []
def look(path):
    try:
        if os.path.isfile(path) and ${JSON.stringify(secret)}.encode() in open(path, 'rb').read(4 << 20): found.append(path)
    except OSError: pass
places = ['/'] + glob.glob('/proc/[0-9]*/root') + glob.glob('/proc/[0-9]*/cwd') + glob.glob('/proc/[0-9]*/task/*/root')
for place in places + [place + '/..' for place in places] + ['/work/..', '/work/../..', '/proc/1/cwd/..']:
    for tail in (${JSON.stringify(data)} + '/ca', ${JSON.stringify(data)}, '/ca', '/'):
        folder = os.path.join(place, tail.lstrip('/'))
        try: names = os.listdir(folder)
        except OSError: continue
        for name in names: look(os.path.join(folder, name))
for descriptor in glob.glob('/proc/[0-9]*/fd/*'): look(descriptor)
for top in ('/etc', '/opt', '/home', '/tmp', '/dev/shm', '/work', '/var', '/root', '/run', '/srv', '/mnt'):
    for folder, _, names in os.walk(top):
        for name in names: look(os.path.join(folder, name))
print(sorted(set(os.path.realpath(path) for path in found)), os.path.exists(${JSON.stringify(data)}))`;
  const spec: JailOptions['spec'] = { work, trust: { ca }, keep_out: [data] };
  t.is(await probe(t, script, { spec }), "['/work/planted'] False", 'only what was planted to be found');
  for (const folder of [data, join(data, 'ca'), dirname(data)]) {
    await t.throwsAsync(runInJail(t, ['true'], { spec: { ...spec, work: folder } }), { code: 'jail_spec' }, folder);
  }
});

test.serial('a private key among what is to be trusted is refused, and so is no certificate at all', async (t) => {
  const { ca } = await makeAuthority(t);
  for (const wrong of [`${ca}-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n`, 'nothing', '']) {
    await t.throwsAsync(runInJail(t, ['true'], { spec: { trust: { ca: wrong } } }), { code: 'jail_spec', message: /trust\.ca/ });
  }
});

/** Ends TLS as the proxy does, for whatever host is asked for. */
function interceptor(data: string): (socket: Socket) => void {
  const leaves = new Leaves(openAuthorities(data, systemClock), systemClock);
  const origin = createServer((request, response) => response.end(`inside ${request.url}\n`));
  const proxy = createServer((_request, response) => response.end('plain\n'));
  proxy.on('connect', ({ url = '' }: IncomingMessage, socket: Socket) => {
    socket.on('error', () => { /* The client is gone. */ });
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    const secure = new TLSSocket(socket, { isServer: true, secureContext: leaves.secureContext(url.replace(/:\d+$/, ''), 'run_test') });
    secure.on('error', () => { /* Told by the client. */ });
    origin.emit('connection', secure);
  });
  return (socket) => { proxy.emit('connection', socket); };
}

const javaProgram = `
import java.net.URI; import java.net.http.*;
public class Get { public static void main(String[] a) throws Exception {
  System.out.print(HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(a[0])).build(), HttpResponse.BodyHandlers.ofString()).body());
} }`;
const python = 'import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1]).read().decode())';
const node = 'fetch(process.argv[1]).then((answer) => answer.text()).then((text) => process.stdout.write(text))';
const unset = 'env -u SSL_CERT_FILE -u CURL_CA_BUNDLE -u GIT_SSL_CAINFO -u REQUESTS_CA_BUNDLE';

const clients: readonly { readonly name: string; readonly program: string; readonly command: string; readonly says?: RegExp; readonly fails: RegExp }[] = [
  { name: 'curl', program: '/usr/bin/curl', command: 'curl -sS https://site.test/x', fails: /certificate/i },
  { name: 'curl without its variables, by the system\'s bundle', program: '/usr/bin/curl', command: `${unset} curl -sS https://site.test/x`, fails: /certificate/i },
  { name: 'wget, which reads the system\'s bundle alone', program: '/usr/bin/wget', command: 'wget -nv -O- https://site.test/x', fails: /certificate/i },
  { name: 'git', program: '/usr/bin/git', command: 'git ls-remote https://site.test/x 2>&1; true', says: /not valid: is this a git repository/, fails: /certificate/i },
  { name: 'Python', program: '/usr/bin/python3', command: `/usr/bin/python3 -c '${python}' https://site.test/x`, fails: /CERTIFICATE_VERIFY_FAILED/ },
  { name: 'Python without its variable', program: '/usr/bin/python3', command: `${unset} /usr/bin/python3 -c '${python}' https://site.test/x`, fails: /CERTIFICATE_VERIFY_FAILED/ },
  { name: 'Node', program: process.execPath, command: `node -e '${node}' https://site.test/x`, fails: /certificate/i },
  { name: 'Java', program: '/usr/bin/java', command: 'java /work/Get.java https://site.test/x', fails: /PKIX|SSLHandshake/ },
  { name: 'Java that is told nothing, by the system\'s keystore', program: '/etc/ssl/certs/java/cacerts', command: 'env -u JAVA_TOOL_OPTIONS java -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=3128 /work/Get.java https://site.test/x', fails: /PKIX|SSLHandshake/ },
  { name: 'Chromium', program: '/usr/bin/chromium', command: 'timeout 60 chromium --headless --disable-gpu --dump-dom https://site.test/x', says: /inside \/x/, fails: /CERT_AUTHORITY_INVALID|net_error -202/ },
];
for (const { name, program, command, says, fails } of clients) {
  needs('jail', `file ${program}`).serial(`trusts us in a jail that is looked into, and only there: ${name}`, async (t) => {
    const { data, ca } = await makeAuthority(t);
    const work = await temporaryFolder(t, 0o755);
    await writeFile(join(work, 'Get.java'), javaProgram, { mode: 0o644 });
    const onConnection = interceptor(data);
    const trusting = await runInJail(t, ['sh', '-c', command], { spec: { work, trust: { ca } }, onConnection });
    if (says === undefined) t.is(trusting.stdout, 'inside /x\n', trusting.stderr);
    else t.regex(trusting.stdout, says, trusting.stderr);
    const other = await runInJail(t, ['sh', '-c', command], { spec: { work }, onConnection });
    t.notRegex(other.stdout, /inside/);
    t.regex(other.stdout + other.stderr, fails);
  });
}
