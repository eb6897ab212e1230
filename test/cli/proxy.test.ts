/** A proxy alone: what it takes on its command line, where its token comes from, and what it says when its control plane doesn't have it. */
import test from 'ava';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { startInstallation } from '../helpers/installation.ts';
import type { Lifetime } from '../helpers/lifetime.ts';
import { startSallyport } from '../helpers/process.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

const token = `sp_px_${'a'.repeat(43)}`;

async function run(lifetime: Lifetime, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<{ readonly code: number | undefined; readonly stdout: string; readonly stderr: string }> {
  const started = startSallyport(lifetime, args, { env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env } });
  const { code } = await started.exit(60_000);
  return { code, stdout: started.stdout(), stderr: started.stderr() };
}

const usage: readonly [what: string, args: readonly string[], sentences: readonly RegExp[]][] = [
  ['no control plane', [], [/--control-plane is missing/]],
  ['no URL', ['--control-plane', 'nowhere:1'], [/--control-plane is not an http or https URL/]],
  ['http to another machine, and all the rest at once', ['--control-plane', 'http://u:p@control.example:1/api', '--workers', '0', '--listen', '0.0.0.0:1', '--ca', '/x'], [
    /holds credentials/, /has a path/, /--ca is of no use/, /must be https, since the proxy's token would cross the network readable.*--insecure-control-plane/, /--workers: "0"/, /--listen 0\.0\.0\.0:1 can be reached from the network/,
  ]],
];
for (const [what, args, sentences] of usage) {
  test(`a usage mistake: ${what}`, async (t) => {
    const { code, stderr } = await run(t, ['proxy', ...args], { SALLYPORT_DATA: '/nowhere', SALLYPORT_PROXY_TOKEN: token });
    t.is(code, 64, stderr);
    for (const sentence of sentences) t.regex(stderr, sentence);
    t.is(stderr.split('\n').filter((line) => line.startsWith('sallyport: ')).length, sentences.length, stderr);
    t.false(stderr.includes('u:p'), 'credentials are repeated');
  });
}

test('what is configured wrong is told at once, never with the token', async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'token');
  await writeFile(file, 'sp_op_of_somebody_else_secret\n');
  const both = await run(t, ['proxy', '--control-plane', 'https://control.example', '--token-file', file, '--ca', file], { SALLYPORT_DATA: join(folder, 'd') });
  t.is(both.code, 78);
  t.regex(both.stderr, /--token-file does not hold a proxy token.*--ca does not hold a certificate in PEM/s);
  t.false(both.stderr.includes('secret'));
  const missing = await run(t, ['proxy', '--control-plane', 'https://control.example'], { SALLYPORT_DATA: join(folder, 'd') });
  t.is(missing.code, 78);
  t.regex(missing.stderr, /SALLYPORT_PROXY_TOKEN is missing \(or --token-file\)/);
  const unread = await run(t, ['proxy', '--control-plane', 'https://control.example', '--token-file', join(folder, 'none'), '--ca', join(folder, 'none')], { SALLYPORT_DATA: join(folder, 'd') });
  t.is(unread.code, 78);
  t.regex(unread.stderr, /--token-file cannot be read: .*none \(ENOENT\).*--ca cannot be read: .*none \(ENOENT\)/s);
  const authorities = await run(t, ['proxy', '--control-plane', 'https://control.example', '--upstream-ca', file, '--upstream-ca', join(folder, 'none')], { SALLYPORT_DATA: join(folder, 'd'), SALLYPORT_PROXY_TOKEN: token });
  t.is(authorities.code, 78);
  t.regex(authorities.stderr, /--upstream-ca .*\/token holds no certificate in PEM.*--upstream-ca .*\/none cannot be read \(ENOENT\)/s);
  t.false(existsSync(join(folder, 'd')), 'a folder was made for nothing');
});

async function fakeApi(lifetime: Lifetime, answer: (request: IncomingMessage) => { readonly status: number; readonly body: string }): Promise<string> {
  const server = createServer((request, response) => {
    const { status, body } = answer(request);
    response.writeHead(status, { 'content-type': 'application/problem+json' }).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  lifetime.teardown(() => { server.close(); server.closeAllConnections(); });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a control plane that cannot be reached, or does not know the token, is told at once, and nothing stays', async (t) => {
  const folder = await temporaryFolder(t);
  const env = { SALLYPORT_DATA: join(folder, 'd'), SALLYPORT_PROXY_TOKEN: token };
  const away = await run(t, ['proxy', '--control-plane', 'http://127.0.0.1:9', '--listen', '127.0.0.1:0'], env);
  t.is(away.code, 69, away.stderr);
  t.regex(away.stderr, /The control plane cannot be reached: .*ECONNREFUSED.*Check that sallyport up runs there, and that --control-plane http:\/\/127\.0\.0\.1:9 is its API\./s);
  const seen: (string | undefined)[] = [];
  const url = await fakeApi(t, (request) => {
    seen.push(request.headers.authorization);
    return { status: 401, body: JSON.stringify({ code: 'unauthenticated', detail: 'These credentials are not known here.' }) };
  });
  const refused = await run(t, ['proxy', '--control-plane', url, '--listen', '127.0.0.1:0'], env);
  t.is(refused.code, 77, refused.stderr);
  t.regex(refused.stderr, /The control plane at \S+ does not know this proxy token\.\n  Take the one that sallyport proxy token says where its up runs\./);
  t.is(seen[0], `Bearer ${token}`);
  t.false(existsSync(join(folder, 'd', 'up.sock')));
});

test('the token of an installation is its own, and outlives a restart; a proxy with it serves what the control plane knows', async (t) => {
  t.timeout(240_000);
  const installation = await startInstallation(t);
  const first = await installation.command(['proxy', 'token']);
  t.regex(first.stdout, /^sp_px_[A-Za-z0-9_-]{43}\n$/);
  t.is(statSync(join(installation.data, 'keys', 'proxy.token')).mode & 0o777, 0o600);
  const api = /"api":"([^"]+)"/.exec(installation.up.stdout())?.[1] ?? '';
  const folder = join(await temporaryFolder(t), 'd');
  const proxy = startSallyport(t, ['proxy', '--control-plane', `http://${api}`, '--listen', '127.0.0.1:0', '--data', folder, '--json'], { env: { ...process.env, SALLYPORT_PROXY_TOKEN: first.stdout.trim() } });
  await proxy.line(/"ready":true/, 60_000);
  // Neither its arguments nor its children's environment hold it.
  for (const line of [readFileSync(`/proc/${proxy.pid}/cmdline`, 'utf8'), readFileSync(join(folder, 'log', 'sallyport.log'), 'utf8')]) t.false(line.includes('sp_px_'));
  const { body } = await installation.api<{ proxies: { acknowledged: number } }>('POST', '/chat/run', { goal: 'test', budget: { requests: 1 } });
  t.is(body.proxies.acknowledged, 2);
  const down = await installation.command(['down', '--data', folder]);
  t.is(down.code, 0, down.stderr);
  t.is((await proxy.exit()).code, 0);

  const ended = await installation.command(['down']);
  t.is(ended.code, 0, ended.stderr);
  t.is((await installation.command(['proxy', 'token'])).stdout, first.stdout);
  const again = installation.start(['up', '--listen', '127.0.0.1:0', '--api', '127.0.0.1:0', '--json']);
  await again.line(/"ready":true/, 60_000);
  t.is((await installation.command(['proxy', 'token'])).stdout, first.stdout);
  const nobody = await run(t, ['proxy', 'token'], { SALLYPORT_DATA: '/nowhere' });
  t.is(nobody.code, 69);
  t.regex(nobody.stderr, /has no proxy token yet/);
});
