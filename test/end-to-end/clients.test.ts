/** Real clients, unchanged, from inside the jail and by `HTTP_PROXY` with credentials. Verdicts are what the origin saw. */
import { gitOrigin } from '../helpers/git-origin.ts';
import { startInstallation, type Installation } from '../helpers/installation.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';
import { startOrigin, type Origin } from '../helpers/origin.ts';
import { startProcess } from '../helpers/process.ts';
import { dnsZone } from '../helpers/world.ts';

const test = needs('world', 'jail');

const script = {
  python: 'import urllib.request; print(urllib.request.urlopen("http://HOST/page?x=1").read().decode())',
  node: 'fetch("http://HOST/page?x=1").then((r) => r.text()).then(console.log)',
};

interface Client {
  readonly name: string;
  readonly command: (host: string) => readonly string[];
  /** Needs a program that may be absent. */
  readonly program: string;
}

const clients: readonly Client[] = [
  { name: 'curl', program: 'curl', command: (host) => ['curl', '-sS', '--fail', `http://${host}/page?x=1`] },
  { name: 'curl through CONNECT', program: 'curl', command: (host) => ['curl', '-sS', '--fail', '--proxytunnel', `http://${host}/page?x=1`] },
  { name: 'wget', program: 'wget', command: (host) => ['wget', '-q', '-O', '-', `http://${host}/page?x=1`] },
  { name: 'Python urllib', program: 'python3', command: (host) => ['python3', '-c', script.python.replace('HOST', host)] },
  { name: 'Node fetch', program: 'node', command: (host) => ['NODE', '-e', script.node.replace('HOST', host)] },
];

let installation: Installation;
let site: Origin;
let repository: Origin;
let host: string;
let repositoryHost: string;

const file = fileLifetime();
test.before(async () => {
  const zone = dnsZone(file);
  installation = await startInstallation(file);
  site = await startOrigin(file, { respond: (_request, response) => { response.end('the page\n'); } });
  repository = await startOrigin(file, await gitOrigin(file));
  host = await zone.set('site', [site.address]);
  repositoryHost = await zone.set('code', [repository.address]);
});

for (const { name, command } of clients) {
  test.serial(`${name} fetches a page from inside the jail`, async (t) => {
    const before = site.requests.length;
    const argv = command(host).map((word) => word === 'NODE' ? '/opt/sallyport/node' : word);
    const { code, stdout, stderr, report } = await installation.run(['--allow', `${host}:80:GET`], argv);
    t.is(code, 0, stderr);
    t.is(stdout.trim(), 'the page');
    const seen = site.requests.slice(before);
    t.deepEqual(seen.map(({ method, target }) => [method, target]), [['GET', '/page?x=1']]);
    t.is(seen[0]?.headers.host, host);
    t.is(seen[0]?.headers['proxy-authorization'], undefined);
    t.deepEqual(report.egress.map(({ effect, status }) => [effect, status]), [['allow', 200]]);
    t.is(report.state, 'Done');
  });

  test.serial(`${name} fetches a page by HTTP_PROXY with a run's credentials`, async (t) => {
    const created = await installation.command(['runs', 'create', '--allow', `${host}:80:GET`, '--env']);
    t.is(created.code, 0, created.stderr);
    const env = Object.fromEntries([...created.stdout.matchAll(/^export ([A-Za-z_]+)='?([^'\n]*)'?$/gm)].map(([, key, value]) => [key, value]));
    t.regex(env['HTTP_PROXY'] ?? '', /^http:\/\/run_[0-9a-f-]+:sp_ag_/);
    const before = site.requests.length;
    const [program = '', ...args] = command(host).map((word) => word === 'NODE' ? process.execPath : word);
    const client = startProcess(t, program, args, { env: { PATH: process.env['PATH'], ...env } });
    t.is((await client.exit()).code, 0, client.stderr());
    t.is(client.stdout().trim(), 'the page');
    const seen = site.requests.slice(before);
    t.deepEqual(seen.map(({ method, target }) => [method, target]), [['GET', '/page?x=1']]);
    t.false(JSON.stringify(seen[0]?.rawHeaders).includes('sp_ag_'), 'the token went to the origin');
  });
}

test.serial('what a run may reach on this machine is not left out of its proxy', async (t) => {
  const direct = async (allow: string): Promise<readonly string[]> => {
    const { code, stdout, stderr } = await installation.command(['runs', 'create', '--allow', allow, '--env']);
    t.is(code, 0, stderr);
    return [...stdout.matchAll(/^export no_proxy='([^']*)'$/gim)].map(([, hosts = '']) => hosts);
  };
  t.deepEqual(await direct('127.0.0.1:8080:GET'), ['localhost,::1', 'localhost,::1']);
  t.deepEqual(await direct('site.test'), ['localhost,127.0.0.1,::1', 'localhost,127.0.0.1,::1']);
});

test.serial('git clones over http from inside the jail', async (t) => {
  const { code, stdout, stderr } = await installation.run(
    ['--allow', `${repositoryHost}:80:GET,POST`],
    ['sh', '-c', `git clone -q http://${repositoryHost}/site.git copy && cat copy/README`],
  );
  t.is(code, 0, stderr);
  t.is(stdout, 'from the origin\n');
  t.true(repository.requests.some(({ method, target }) => method === 'POST' && target === '/site.git/git-upload-pack'));
});

test.serial('stdin, stdout, stderr and the exit code pass through', async (t) => {
  const { code, stdout, stderr } = await installation.run([], ['sh', '-c', 'echo out; echo err >&2; exit 7']);
  t.is(code, 7);
  t.is(stdout, 'out\n');
  t.true(stderr.startsWith('err\n'));
});
