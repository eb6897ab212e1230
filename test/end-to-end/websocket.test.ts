/** Web sockets from inside the jail: by Node's own client and by raw ones in each form, judged, counted, cut and closed. */
import { startInstallation, type Installation } from '../helpers/installation.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';
import { startOrigin, type Origin } from '../helpers/origin.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { until } from '../helpers/wait.ts';
import { echo, frame, handshakeFields } from '../helpers/web-socket.ts';
import { dnsZone } from '../helpers/world.ts';

const test = needs('world', 'jail');

let installation: Installation;
let site: Origin;
let host: string;

const file = fileLifetime();
test.before(async () => {
  const zone = dnsZone(file);
  installation = await startInstallation(file);
  site = await startOrigin(file, {
    upgrade: (request, socket, head) => {
      if (request.url !== '/flood') return echo(request, socket, head);
      echo(request, socket, Buffer.alloc(0));
      for (let count = 0; count < 100; count++) socket.write(frame('x'.repeat(20_000), false));
    },
  });
  host = await zone.set('site', [site.address]);
});

/** Says what it heard, or with what status it was refused. */
const byNode = `
const socket = new WebSocket('ws://HOST/chat');
socket.onopen = () => socket.send('hello');
socket.onmessage = ({ data }) => { console.log(data); if (data === 'again') socket.close(); else socket.send('again'); };
socket.onclose = () => console.log('closed');
socket.onerror = () => console.log('error');
`;

/** A handshake as the proxy's clients write it; then one frame, and what comes is written out as it is. */
const raw = `
import os, socket, sys
form, path = sys.argv[1], sys.argv[2]
host = 'HOST'
proxy = os.environ['http_proxy'].split('//')[1].rstrip('/').split(':')
s = socket.create_connection((proxy[0], int(proxy[1])), 30)
if form == 'connect':
    s.sendall(f'CONNECT {host}:80 HTTP/1.1\\r\\nHost: {host}:80\\r\\n\\r\\n'.encode())
    while not s.recv(65536).endswith(b'\\r\\n\\r\\n'): pass
target = path if form == 'connect' else f'{form}://{host}{path}'
s.sendall(f'GET {target} HTTP/1.1\\r\\nHost: {host}\\r\\n${handshakeFields.join('\\r\\n')}\\r\\n\\r\\n'.encode() + bytes.fromhex('${frame('hello', true).toString('hex')}'))
got = b''
while True:
    try: piece = s.recv(65536)
    except OSError: break
    if not piece: break
    got += piece
    if len(sys.argv) == 3 and b'hello' in got: break
sys.stdout.write(got.decode('latin1') if len(got) < 4000 else str(len(got)))
`;
const python = (...args: readonly string[]): string[] => ['python3', '-c', raw.replaceAll('HOST', host), ...args];

test.serial('Node\'s own client speaks through the jail\'s proxy, judged as a GET of its path', async (t) => {
  const { stdout, stderr, report } = await installation.run(['--allow', `${host}:80:GET:/chat`], ['env', 'NODE_USE_ENV_PROXY=1', '/opt/sallyport/node', '-e', byNode.replace('HOST', host)]);
  t.deepEqual(stdout.trim().split('\n'), ['hello', 'again', 'closed'], stderr);
  t.deepEqual(report.egress.map(({ effect, status, code }) => [effect, status, code]), [['allow', 101, null]]);
  t.true((report.budget['bytes_out']?.used ?? 0) > 11);
});

for (const form of ['http', 'ws', 'connect'] as const) {
  test.serial(`a raw client that asks by ${form === 'connect' ? 'CONNECT' : `${form}://`} is heard and echoed`, async (t) => {
    const { stdout, stderr, report } = await installation.run(['--allow', `${host}:80:GET:/chat`], python(form, '/chat'));
    t.regex(stdout, /^HTTP\/1\.1 101 /, stderr);
    t.true(stdout.endsWith('\x81\x05hello'));
    t.deepEqual(report.egress.map(({ effect, status }) => [effect, status]), [['allow', 101]]);
  });

  test.serial(`a handshake by ${form} that nothing allows is a plain refusal, and the frame behind it nobody's`, async (t) => {
    const before = site.connections.length;
    const { stdout, report } = await installation.run(['--allow', `${host}:80:GET:/chat`], python(form, '/other', 'all'));
    t.regex(stdout, /^HTTP\/1\.1 403 [^]*"code": "policy_denied"/);
    t.is(stdout.match(/HTTP\/1\.1/g)?.length, 1);
    t.is(site.connections.length, before);
    t.deepEqual(report.egress.map(({ effect, code }) => [effect, code]), [['deny', 'policy_denied']]);
  });
}

test.serial('it is cut at the byte where bytes_in ends', async (t) => {
  const limit = 500_000;
  const { report } = await installation.run(['--allow', `${host}:80:GET`, '--budget', `bytes_in=${limit}`], python('http', '/flood', 'all'));
  t.is(report.budget['bytes_in']?.used, limit);
  t.deepEqual(report.egress.map(({ bytes_in, status, code }) => [bytes_in, status, code]), [[limit, 101, 'budget_exhausted']]);
});

test.serial('a cancelled run\'s web socket is closed at once', async (t) => {
  const before = site.connections.length;
  const work = await temporaryFolder(t, 0o755);
  const created = installation.start(['run', '--allow', `${host}:80:GET`, '--work', work, '--give-work', '--', ...python('http', '/chat', 'all')]);
  const connection = await until('the web socket at the origin', () => site.connections[before]);
  await until('the frame', () => connection.bytes().includes(frame('hello', true)));
  const { body } = await installation.api<{ readonly items: readonly { readonly run_id: string; readonly channel: string }[] }>('GET', '/chat/run?state=Active');
  const run = body.items.find(({ channel }) => channel === 'jail')!;
  const began = performance.now();
  await installation.api('POST', `/chat/run/${run.run_id}/cancel`, {});
  await until('the end at the origin', () => connection.closed);
  t.true(performance.now() - began < 2000, `${performance.now() - began} ms`);
  await created.exit(60_000);
});
