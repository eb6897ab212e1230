/** Ways to a network other than the proxy. Each is tried once more without the defence, to prove that the try would succeed. */
import { createServer, type Server } from 'node:net';
import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { probe, runInJail, startTestJail, testProxy, python } from '../../helpers/jail.ts';
import { needs } from '../../helpers/needs.ts';
import type { Lifetime } from '../../helpers/lifetime.ts';
import { event, within } from '../../helpers/wait.ts';
import type { Defences } from '../../../sandbox/launch/defences.ts';

const test = needs('jail', 'command python3');

const shared = { network: 'shared' } as const;
const open = { system_calls: 'open' } as const;

async function canary(lifetime: Lifetime, address: string): Promise<{ readonly port: number; readonly server: Server }> {
  const server = createServer((socket) => socket.on('error', () => undefined).end());
  lifetime.teardown(() => server.close());
  server.listen(0, address);
  await event(`a listener on ${address}`, server, 'listening');
  return { port: (server.address() as { port: number }).port, server };
}

const otherAddress = Object.values(networkInterfaces()).flatMap((all) => all ?? [])
  .find(({ family, address }) => family === 'IPv4' && !address.startsWith('127.'))?.address;

const loopbacks = [
  { title: 'loopback over IPv4', family: 'AF_INET', address: '127.0.0.1', listen: '127.0.0.1', expected: 'ECONNREFUSED' },
  { title: 'loopback over IPv6', family: 'AF_INET6', address: '::1', listen: '::1', expected: 'ECONNREFUSED' },
  ...(otherAddress === undefined ? [] : [{ title: 'own address', family: 'AF_INET', address: otherAddress, listen: '0.0.0.0', expected: 'ENETUNREACH' }]),
];

for (const { title, family, address, listen, expected } of loopbacks) {
  test.serial(`the host's ${title} cannot be reached`, async (t) => {
    const { port, server } = await canary(t, listen);
    let contacts = 0;
    server.on('connection', () => { contacts += 1; });
    const script = `print(attempt(lambda: dial(socket.${family}, ('${address}', ${port}))))`;
    t.is(await probe(t, script), expected);
    t.is(contacts, 0);
    t.is(await probe(t, script, { without: shared }), 'ok');
    t.is(contacts, 1);
  });
}

interface Try {
  readonly title: string;
  readonly script: string;
  readonly expected: string;
  /** With these off it must be something else. */
  readonly without?: Partial<Defences>;
  readonly instead?: RegExp;
}

const socketOf = (words: string): string => `print(attempt(lambda: socket.socket(${words})))`;

const tries: readonly Try[] = [
  { title: 'the metadata address', script: "print(attempt(lambda: dial(socket.AF_INET, ('169.254.169.254', 80))))", expected: 'ENETUNREACH', without: shared, instead: /^(?!ENETUNREACH)/ },
  { title: 'a DNS server over UDP', script: "one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); print(attempt(lambda: one.sendto(b'x', ('8.8.8.8', 53))))", expected: 'ENETUNREACH' },
  { title: 'a raw ICMP socket', script: socketOf('socket.AF_INET, socket.SOCK_RAW, 1'), expected: 'EPERM' },
  { title: 'AF_PACKET', script: socketOf('socket.AF_PACKET, socket.SOCK_RAW'), expected: 'EAFNOSUPPORT', without: open, instead: /^EPERM$/ },
  { title: 'AF_VSOCK', script: socketOf('40, socket.SOCK_STREAM'), expected: 'EAFNOSUPPORT', without: open, instead: /^ok$/ },
  { title: 'AF_ALG', script: socketOf('38, socket.SOCK_SEQPACKET'), expected: 'EAFNOSUPPORT' },
  { title: 'a netlink socket of netfilter', script: socketOf('socket.AF_NETLINK, socket.SOCK_RAW, 12'), expected: 'EAFNOSUPPORT', without: open, instead: /^ok$/ },
  { title: 'a netlink socket of the audit system', script: socketOf('socket.AF_NETLINK, socket.SOCK_RAW, 9'), expected: 'EAFNOSUPPORT', without: open, instead: /^ok$/ },
  {
    // RTM_NEWLINK of a dummy interface, and the number in the kernel's answer.
    title: 'a new interface by route netlink',
    script: `
one = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
name = b'd0\\0\\0'
link = struct.pack('HH', 4 + 12, 18) + struct.pack('HH', 4 + 5, 1) + b'dummy\\0\\0\\0'
body = struct.pack('BBHiII', 0, 0, 0, 0, 0, 0) + struct.pack('HH', 4 + 3, 3) + name + link
one.send(struct.pack('IHHII', 16 + len(body), 16, 0x405, 1, 0) + body)
print(errno.errorcode[-struct.unpack('i', one.recv(4096)[16:20])[0]])`,
    expected: 'EPERM',
  },
];

for (const { title, script, expected, without, instead } of tries) {
  test.serial(`refused: ${title}`, async (t) => {
    t.is(await probe(t, script), expected);
    if (without !== undefined && instead !== undefined) t.regex(await probe(t, script, { without }), instead);
  });
}

test.serial('a UDP datagram to the host does not arrive', async (t) => {
  const receiver = createSocket('udp4');
  t.teardown(() => receiver.close());
  receiver.bind(0, '127.0.0.1');
  await event('a UDP socket', receiver, 'listening');
  const seen: string[] = [];
  receiver.on('message', (message) => seen.push(String(message)));
  const script = (word: string): string => `one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); one.sendto(b'${word}', ('127.0.0.1', ${receiver.address().port}))`;
  await probe(t, script('jailed'));
  const arrival = event('the datagram without the defence', receiver, 'message');
  await probe(t, script('shared'), { without: shared });
  await arrival;
  t.deepEqual(seen, ['shared']);
});

test.serial('an outside name fails to resolve, at once', async (t) => {
  const [answer = '', milliseconds = ''] = (await probe(t, `
import time
started = time.monotonic()
answer = attempt(lambda: socket.getaddrinfo('site.test', 80))
print(answer, int((time.monotonic() - started) * 1000))`)).split(/ (?=\d+$)/);
  t.regex(answer, /^EAI /);
  t.true(Number(milliseconds) < 1000, `${milliseconds} ms`);
});

test.serial('an abstract socket of the host cannot be reached', async (t) => {
  const name = `sallyport-test-${process.pid}`;
  const server = createServer((socket) => socket.end());
  t.teardown(() => server.close());
  server.listen(`\0${name}`);
  await event('an abstract socket', server, 'listening');
  const script = `print(attempt(lambda: dial(socket.AF_UNIX, b'\\0${name}')))`;
  t.is(await probe(t, script), 'ECONNREFUSED');
  t.is(await probe(t, script, { without: shared }), 'ok');
});

test.serial('a jail cannot reach what listens in another, by TCP or by an abstract socket', async (t) => {
  const { jail } = await startTestJail(t, python(`
one = socket.socket(); one.bind(('127.0.0.1', 4000)); one.listen()
two = socket.socket(socket.AF_UNIX); two.bind(b'\\0neighbour'); two.listen()
dial(socket.AF_INET, ('127.0.0.1', 4000)); dial(socket.AF_UNIX, b'\\0neighbour')
dial(socket.AF_INET, ('127.0.0.1', 3128))
signal.pause()`), { onConnection: (socket) => { socket.destroy(); ready(); } });
  let ready = (): void => undefined;
  await within('the neighbour to listen', new Promise<void>((resolve) => { ready = resolve; }));
  t.is(await probe(t, "print(attempt(lambda: dial(socket.AF_INET, ('127.0.0.1', 4000))), attempt(lambda: dial(socket.AF_UNIX, b'\\0neighbour')))"), 'ECONNREFUSED ECONNREFUSED');
  await jail.kill();
});

test.serial("an agent cannot take the proxy's place", async (t) => {
  const script = `
def take(address, option):
    one = socket.socket()
    if option is not None: one.setsockopt(socket.SOL_SOCKET, option, 1)
    one.bind((address, 3128))
    one.listen()
print(*[attempt(lambda: take(address, option)) for address in ('127.0.0.1', '0.0.0.0') for option in (None, socket.SO_REUSEADDR, socket.SO_REUSEPORT)])`;
  t.is(await probe(t, script), Array.from({ length: 6 }, () => 'EADDRINUSE').join(' '));
});

test.serial('with the proxy gone there is no way at all', async (t) => {
  const { jail, stdout } = await startTestJail(t, python("sys.stdin.readline(); print(attempt(lambda: dial(socket.AF_INET, ('127.0.0.1', 3128))))"));
  jail.listener.close();
  jail.stdin.end('go\n');
  t.is((await stdout).trim(), 'ECONNREFUSED');
});

test.serial('six jails at once: each connection comes by the listener of its own', async (t) => {
  const proxies = Array.from({ length: 6 }, (_, index) => testProxy(t, `proxy ${index}`));
  const answers = await Promise.all(proxies.map((proxy, index) => probe(t, `
import urllib.request
for _ in range(5): print(urllib.request.urlopen('http://run-${index}.test/').read().decode().strip())`, { onConnection: proxy.onConnection })));
  answers.forEach((answer, index) => t.deepEqual([...new Set(answer.split('\n'))], [`proxy ${index}`]));
  proxies.forEach(({ seen }, index) => t.deepEqual(seen, Array.from({ length: 5 }, () => `http://run-${index}.test/`)));
});

test.serial('a client that ignores the proxy gets nowhere, and nothing reaches the proxy', async (t) => {
  const proxy = testProxy(t, 'proxy');
  const answer = await probe(t, "import http.client\nprint(attempt(lambda: http.client.HTTPConnection('site.test', 80, timeout=3).request('GET', '/')))", { onConnection: proxy.onConnection });
  t.regex(answer, /^EAI /);
  t.deepEqual(proxy.seen, []);
});

test.serial('Node in the jail uses the proxy by itself', async (t) => {
  const proxy = testProxy(t, 'through the proxy');
  proxy.server.on('connect', (_request, socket) => { socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'); });
  const { stdout } = await runInJail(t, ['node', '-e', "require('http').get('http://site.test/', (answer) => answer.pipe(process.stdout))"], { onConnection: proxy.onConnection });
  t.is(stdout, 'through the proxy\n');
});

test.serial('with Unix sockets denied none can be made, and pipes between processes still work', async (t) => {
  const script = "print(attempt(lambda: socket.socket(socket.AF_UNIX)), subprocess.run(['echo', 'child'], capture_output=True, text=True).stdout.strip())";
  t.is(await probe(t, script, { spec: { unix_sockets: 'deny' } }), 'EAFNOSUPPORT child');
  t.is(await probe(t, script), 'ok child');
});
