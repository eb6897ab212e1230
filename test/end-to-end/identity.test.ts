/** Who an exchange belongs to is decided by where it came from, never by what it says. */
import { createConnection } from 'node:net';
import { startInstallation, type Installation } from '../helpers/installation.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';
import { startOrigin, type Origin } from '../helpers/origin.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { until, within } from '../helpers/wait.ts';
import { dnsZone } from '../helpers/world.ts';

const test = needs('world', 'jail');

interface Created { readonly run_id: string; readonly agent_token: string }
interface Actions { readonly items: readonly { readonly event: { readonly type: string; readonly payload: { readonly path?: string }; readonly facts: { readonly code?: string } }; readonly completion: { readonly type: string } | null }[] }

let installation: Installation;
let site: Origin;
let host: string;

const file = fileLifetime();
test.before(async () => {
  const zone = dnsZone(file);
  installation = await startInstallation(file);
  site = await startOrigin(file, {
    respond: (request, response) => {
      if (request.url === '/slow') response.write('first\n');
      else response.end('ok\n');
    },
  });
  host = await zone.set('site', [site.address]);
});

const policy = () => ({ allow: [{ id: 'allow-0', host, ports: [80], methods: ['GET'], path_prefix: null }, { id: 'allow-1', host, ports: [9000], methods: ['TUNNEL'], path_prefix: null }] });

async function create(channel: 'credentials' | 'jail' = 'credentials'): Promise<Created> {
  const { status, body } = await installation.api<Created>('POST', '/chat/run', { goal: 'identity', channel, policy: policy() });
  if (status !== 201) throw new Error(`POST /chat/run: ${status} ${JSON.stringify(body)}`);
  return body;
}

/** Sends a raw head to the proxy and gives what comes back until the connection closes or `enough` matches. */
async function raw(head: string, enough: RegExp): Promise<string> {
  const socket = createConnection(installation.port, '127.0.0.1');
  let text = '';
  socket.setEncoding('latin1');
  await within('an answer of the proxy', new Promise<void>((resolve, reject) => {
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (enough.test(text)) resolve();
    });
    socket.on('close', () => resolve());
    socket.on('error', reject);
    socket.write(head);
  }));
  socket.destroy();
  return text;
}

const get = (path: string, authorization: string | undefined): Promise<string> => raw(
  `GET http://${host}${path} HTTP/1.1\r\nHost: ${host}\r\n${authorization === undefined ? '' : `Proxy-Authorization: ${authorization}\r\n`}Connection: close\r\n\r\n`,
  /\r\n\r\n[^]*(ok\n|\})/,
);
const basic = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

test.serial('Two jails at once: each request is recorded on its own run', async (t) => {
  const agent = (name: string): string[] => ['sh', '-c', `for i in 1 2 3 4 5; do curl -s http://${host}/${name}/$i >/dev/null; done`];
  const [first, second] = await Promise.all(['first', 'second'].map((name) => installation.run(['--allow', `${host}:80:GET`], agent(name))));
  t.deepEqual(first?.report.egress.map(({ path }) => path), [1, 2, 3, 4, 5].map((i) => `/first/${i}`));
  t.deepEqual(second?.report.egress.map(({ path }) => path), [1, 2, 3, 4, 5].map((i) => `/second/${i}`));
});

test.serial('A jailed agent that sends the credentials of another run acts as itself', async (t) => {
  const other = await create();
  const { report } = await installation.run(['--allow', `${host}:80:GET`], ['curl', '-s', '-H', `Proxy-Authorization: ${basic(other.run_id, other.agent_token)}`, `http://${host}/mine`]);
  t.true(report.egress.some(({ path }) => path === '/mine'));
  const { body } = await installation.api<Actions>('GET', `/chat/run/${other.run_id}/actions`);
  t.false(body.items.some(({ event }) => event.payload.path === '/mine'));
  t.false(JSON.stringify(site.requests.at(-1)?.rawHeaders).includes('roxy-'), 'proxy credentials went to the origin');
});

test.serial('No credentials, wrong ones, and those of another run are 407 and reach nobody', async (t) => {
  const [one, two, jailed] = [await create(), await create(), await create('jail')];
  const before = site.requests.length;
  for (const authorization of [undefined, basic(one.run_id, 'wrong'), basic(one.run_id, two.agent_token), basic('run_unknown', one.agent_token), basic(jailed.run_id, jailed.agent_token), 'Basic !!!', 'Digest x']) {
    const answer = await get('/', authorization);
    t.regex(answer, /^HTTP\/1\.1 40[37] /, `${authorization}`);
    if (authorization === undefined) t.regex(answer, /proxy-authenticate: basic realm="sallyport"/i);
  }
  t.is(site.requests.length, before);
  t.regex(await get('/', basic(one.run_id, one.agent_token)), /^HTTP\/1\.1 200 /);
});

test.serial('An old epoch in the token is refused as stale', async (t) => {
  const run = await create();
  const stale = run.agent_token.replace(/^sp_ag_(\d+)_/, (_all, epoch: string) => `sp_ag_${Number(epoch) - 1}_`);
  t.regex(await get('/', basic(run.run_id, stale)), /"code":\s*"stale_epoch"|407/);
});

test.serial('Cancelling closes an open exchange and an open tunnel at once, and the next request is refused', async (t) => {
  const run = await create();
  const opaque = await startOrigin(t, { address: site.address, port: 9000, connection: (socket) => { socket.write('hello from inside\n'); } });
  const authorization = basic(run.run_id, run.agent_token);

  const closed = (head: string, first: RegExp): { readonly opened: Promise<unknown>; readonly ended: Promise<void> } => {
    const socket = createConnection(installation.port, '127.0.0.1');
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => { text += chunk; });
    socket.on('error', () => { /* A reset ends it as well. */ });
    const ended = new Promise<void>((resolve) => { socket.on('close', () => resolve()); });
    socket.write(head);
    return { opened: until(`the first bytes of ${first}`, () => first.test(text)).catch((error: unknown) => { throw new Error(`got ${text}`, { cause: error }); }), ended };
  };
  const slow = closed(`GET http://${host}/slow HTTP/1.1\r\nHost: ${host}\r\nProxy-Authorization: ${authorization}\r\n\r\n`, /first/);
  const tunnel = closed(`CONNECT ${host}:9000 HTTP/1.1\r\nHost: ${host}:9000\r\nProxy-Authorization: ${authorization}\r\n\r\n`, /hello from inside/);
  await Promise.all([slow.opened, tunnel.opened]);

  const { code, stderr } = await installation.command(['runs', 'cancel', run.run_id]);
  t.is(code, 0, stderr);
  await within('the exchange to be closed', slow.ended, 2000);
  await within('the tunnel to be closed', tunnel.ended, 2000);
  await until('the origin to see its connection closed', () => opaque.connections.every(({ closed: gone }) => gone));

  t.regex(await get('/', authorization), /^HTTP\/1\.1 403 [^]*"run_ended"/);
  await until('both cuts in the record', async () => {
    const { body } = await installation.api<Actions>('GET', `/chat/run/${run.run_id}/actions`);
    return body.items.filter(({ completion }) => completion?.type === 'egress.cut').length === 2;
  });
});

test.serial('Cancelling a jailed run kills its jail', async (t) => {
  const work = await temporaryFolder(t, 0o755);
  const agent = installation.start(['run', '--allow', `${host}:80:GET`, '--work', work, '--give-work', '--', 'sh', '-c', 'echo started; sleep 600']);
  const ended = agent.exit(60_000);
  await agent.line(/started/);
  const { body } = await installation.api<{ items: readonly { run_id: string; channel: string }[] }>('GET', '/chat/run?state=Active');
  const jailed = body.items.find(({ channel }) => channel === 'jail');
  await installation.command(['runs', 'cancel', jailed?.run_id ?? '']);
  t.is((await ended).code, 77, agent.stderr());
});
