/** Which runs are looked into, what their agents then trust, and what is told to whoever starts an agent elsewhere. */
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { join } from 'node:path';
import type { RunView } from '../../contracts/run-api.ts';
import { makeCertificate } from '../helpers/certificate.ts';
import { startInstallation, type Installation } from '../helpers/installation.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';
import { startOrigin } from '../helpers/origin.ts';
import { startProcess } from '../helpers/process.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { until } from '../helpers/wait.ts';
import { dnsZone } from '../helpers/world.ts';

const test = needs('world', 'jail', 'command curl', 'command openssl');

let installation: Installation;
let host: string;
/** What the origin saw inside TLS. */
const seen: string[] = [];

const file = fileLifetime();
test.before(async () => {
  const zone = dnsZone(file);
  host = zone.name('site');
  const certificate = await makeCertificate(file, `DNS:${host}`);
  const inside = createServer({ key: certificate.key, cert: certificate.cert }, (request, response) => {
    seen.push(`${request.method} ${request.url}`);
    response.end('from the origin\n');
  });
  const origin = await startOrigin(file, { port: 443, connection: (socket) => { inside.emit('connection', socket); } });
  await zone.set('site', [origin.address]);
  installation = await startInstallation(file, { up: ['--upstream-ca', certificate.file] });
});

const allowed = (): readonly string[] => ['--allow', `${host}:443:GET:/a`];
/** One that is allowed, one that is not. */
const attempt = (): readonly string[] => ['sh', '-c', `curl -sS https://${host}/a; curl -sS https://${host}/b; env | grep -c -E '^(NODE_EXTRA_CA_CERTS|SSL_CERT_FILE)='`];

test.serial('a jailed run is looked into: its agent trusts us without being told, and each path is judged', async (t) => {
  seen.length = 0;
  const { stdout, stderr, report } = await installation.run(allowed(), attempt());
  t.regex(stdout, /^from the origin\n\{[^]*"code": "policy_denied"[^]*\n?2\n$/, stderr);
  t.deepEqual(seen, ['GET /a']);
  const requests = report.egress.filter(({ act }) => act === 'request');
  t.deepEqual(requests.map(({ method, port, path, effect }) => [method, port, path, effect]), [['GET', 443, '/a', 'allow'], ['GET', 443, '/b', 'deny']]);
});

test.serial('so is the run of an agent that the jail host starts', async (t) => {
  seen.length = 0;
  const work = await temporaryFolder(t, 0o755);
  const { code, stdout, stderr } = await installation.command(['runs', 'create', '--json', ...allowed(), '--work', work, '--give-work', '--', ...attempt()]);
  t.is(code, 0, stderr);
  const { run_id, log } = JSON.parse(stdout) as { run_id: string; log: string };
  const run = await until('the hosted run to end', async () => {
    const { body } = await installation.api<RunView>('GET', `/chat/run/${run_id}`);
    return body.ended_at !== null && body;
  }, 60_000);
  t.true(run.policy.intercept);
  t.regex(await readFile(log, 'utf8'), /from the origin\n\{[^]*"code": "policy_denied"[^]*2\n/);
  t.deepEqual(seen, ['GET /a']);
});

test.serial('with --no-intercept nothing is: no variable, no authority, and the tunnel is refused as one that nobody can look into', async (t) => {
  const { stdout, report } = await installation.run(['--no-intercept', '--allow', host], attempt());
  t.is(stdout, '0\n');
  t.deepEqual(report.egress.map(({ act, code }) => [act, code]), [['connect', 'needs_interception'], ['connect', 'needs_interception']]);
});

test.serial('a run without a jail is looked into only when it is asked for, and then says how to trust us; what it says works', async (t) => {
  seen.length = 0;
  const refused = await installation.command(['runs', 'create', ...allowed()]);
  t.is(refused.code, 64);
  t.regex(refused.stderr, /cannot be judged on port 443.*--intercept.*443:TUNNEL/);

  const plain = await installation.command(['runs', 'create', '--allow', host, '--json']);
  t.like(JSON.parse(plain.stdout), { policy: { intercept: false } });
  t.false('trust' in (JSON.parse(plain.stdout) as object));
  t.notRegex(plain.stderr, /trust/);

  const json = await installation.command(['runs', 'create', '--intercept', ...allowed(), '--json']);
  t.true((JSON.parse(json.stdout) as { trust: string[] }).trust.some((line) => line.includes('sallyport ca export')));

  const created = await installation.command(['runs', 'create', '--intercept', ...allowed(), '--env']);
  t.notRegex(created.stdout, /trust our authority/, 'what a shell evaluates is left alone');
  t.regex(created.stderr, /trust our authority[^]*sallyport ca export --data '[^']+' --out sallyport-ca\.pem[^]*NODE_EXTRA_CA_CERTS[^]*CURL_CA_BUNDLE/);
  const folder = await temporaryFolder(t);
  const exported = await installation.command(['ca', 'export', '--out', join(folder, 'sallyport-ca.pem')]);
  t.is(exported.code, 0, exported.stderr);
  const agent = startProcess(t, 'sh', ['-c', `cd ${folder}; ${created.stdout}\ncat /etc/ssl/certs/ca-certificates.crt sallyport-ca.pem > bundle.pem; export CURL_CA_BUNDLE="$PWD/bundle.pem"; curl -sS https://${host}/a; curl -sS https://${host}/b`]);
  await agent.exit(60_000);
  t.regex(agent.stdout(), /^from the origin\n\{[^]*"code": "policy_denied"/, agent.stderr());
  t.deepEqual(seen, ['GET /a']);
});

test.serial('what the jail trusts is the authority of its installation, and no caller may put another in its place', async (t) => {
  const { stdout } = await installation.run(['--allow', host], ['cat', '/etc/sallyport/ca.pem']);
  const { stdout: exported } = await installation.command(['ca', 'export']);
  t.is(stdout, exported);
  t.regex(execFileSync('openssl', ['x509', '-noout', '-subject'], { input: stdout, encoding: 'utf8' }), /Sallyport/);
  const work = await temporaryFolder(t, 0o755);
  const again = await installation.command(['run', '--work', work, '--give-work', '--env', 'NODE_EXTRA_CA_CERTS=/work/mine.pem', '--', 'true']);
  t.regex(again.stderr, /NODE_EXTRA_CA_CERTS.*[^]*--no-intercept/);
  t.not(again.code, 0);
});
