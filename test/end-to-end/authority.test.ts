/** The installation's authority as a client without a jail meets it: at two workers, over a rotation, in two runs. No origin is needed: a refusal is told inside TLS. */
import test from 'ava';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { startInstallation, type Installation } from '../helpers/installation.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { event, until, within } from '../helpers/wait.ts';

interface Created { readonly run_id: string; readonly agent_token: string }

const host = 'refused.example';
let installation: Installation;

const file = fileLifetime();
test.before(async () => { installation = await startInstallation(file, { up: ['--workers', '2'] }); });

async function command(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await installation.command(args);
  if (code !== 0) throw new Error(`sallyport ${args.join(' ')}: ${code}\n${stderr}`);
  return stdout;
}

const create = async (): Promise<Created> => JSON.parse(await command('runs', 'create', '--intercept', '--json')) as Created;

async function tunnel({ run_id, agent_token }: Created): Promise<Socket> {
  const outgoing = request({
    host: '127.0.0.1', port: installation.port, method: 'CONNECT', path: `${host}:443`, agent: false,
    headers: { 'proxy-authorization': `Basic ${Buffer.from(`${run_id}:${agent_token}`).toString('base64')}` },
  });
  outgoing.end();
  const [response, socket] = await event('an answer to CONNECT', outgoing, 'connect') as [{ readonly statusCode: number }, Socket];
  if (response.statusCode !== 200) throw new Error(`CONNECT: ${response.statusCode}`);
  return socket;
}

interface Seen { readonly reused: boolean; readonly session: Buffer | undefined; readonly answer: string; readonly names: string | undefined }

/** One request inside TLS on a connection of its own; rejects when the certificate does not verify. */
async function visit(run: Created, ca: string, session?: Buffer): Promise<Seen> {
  const socket = await tunnel(run);
  return within('an answer inside TLS', new Promise<Seen>((resolve, reject) => {
    let answer = '';
    let latest: Buffer | undefined;
    const secure: TLSSocket = connect({ socket, servername: host, ca, ...(session !== undefined && { session }) }, () => {
      secure.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    });
    secure.on('session', (one: Buffer) => { latest = one; });
    secure.on('data', (chunk: Buffer) => { answer += chunk.toString('latin1'); });
    secure.on('error', reject);
    secure.on('end', () => resolve({ reused: secure.isSessionReused(), names: secure.getPeerCertificate().subjectaltname, session: latest, answer }));
  })).finally(() => socket.destroy());
}

test.serial('both workers show a leaf that the exported authority vouches for; a session is resumed at either in its run, and in no other run', async (t) => {
  const ca = await command('ca', 'export');
  const [one, other] = [await create(), await create()];
  const first = await visit(one, ca);
  t.regex(first.answer, /^HTTP\/1\.1 403 /);
  t.is(first.names, `DNS:${host}`);
  // Connections land at any of the two: eight of them at one alone would be a rare accident, and no failure.
  for (let time = 0; time < 8; time++) {
    const again = await visit(one, ca, first.session);
    t.regex(again.answer, /^HTTP\/1\.1 403 /);
    t.true(again.reused, 'the same run');
    t.false((await visit(other, ca, first.session)).reused, 'another run');
  }
});

test.serial('a rotation reaches running workers: clients go on by the new export, and the old one is no longer enough', async (t) => {
  const run = await create();
  const old = await command('ca', 'export');
  await command('ca', 'rotate', '--overlap', '1h');
  const both = await command('ca', 'export');
  t.true(both.startsWith(old) && both.length > old.length);
  // During the overlap whoever has the old one alone goes on.
  await visit(run, old);
  await command('ca', 'rotate', '--overlap', '0');
  let refusals = 0;
  await until('leaves of the next authority from both workers', async () => {
    const verdict = await visit(run, old).then(() => undefined, (error: NodeJS.ErrnoException) => error.code);
    await visit(run, both);
    refusals = verdict === 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' ? refusals + 1 : 0;
    return refusals >= 8;
  }, 60_000);
  t.is(await command('ca', 'export'), both);
});
