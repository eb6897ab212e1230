/** A jailed agent and the control plane: what it can ask of `sallyport.internal`, and as whom. */
import { startInstallation, type Installation } from '../helpers/installation.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';

const test = needs('world', 'jail');

interface Created { readonly run_id: string; readonly agent_token: string }
interface Actions { readonly items: readonly { readonly event: { readonly type: string; readonly facts: { readonly host?: string } } }[] }

let installation: Installation;

const file = fileLifetime();
test.before(async () => {
  installation = await startInstallation(file);
});

/** Runs a shell script in a jail and gives its lines as JSON. */
async function answers<T = Record<string, unknown>>(script: string, options: readonly string[] = []): Promise<{ readonly run_id: string; readonly lines: readonly T[] }> {
  const { stdout, stderr, report } = await installation.run(options, ['sh', '-c', script]);
  try {
    return { run_id: report.run_id, lines: stdout.trim().split('\n').map((line) => JSON.parse(line) as T) };
  } catch (cause) {
    throw new Error(`The agent printed ${JSON.stringify(stdout)}\n${stderr}`, { cause });
  }
}

const curl = (path: string, options: string = ''): string => `curl -s ${options} 'http://sallyport.internal${path}' | tr -d '\\n'; echo;`;

test.serial('A jailed agent sees its own run, by the proxy\'s word and not by its own', async (t) => {
  const { body: other } = await installation.api<Created>('POST', '/chat/run', { goal: 'other' });
  const forged = `-H 'Authorization: Bearer ${other.agent_token}' -H 'Sallyport-Run: ${other.run_id};epoch=1'`;
  const { run_id, lines } = await answers<{ items?: { run_id: string }[]; run_id?: string; code?: string; state?: string }>([
    curl('/chat/run'), curl('/chat/run', forged), curl(`/chat/run/${other.run_id}`), curl(`/chat/run/${other.run_id}`, forged), curl(`/chat/run/${other.run_id}/cancel`, `-X POST ${forged}`),
    curl('/data-plane/stream?proxy_id=x'), curl('/admin/proxies', forged), curl('/healthz'),
  ].join(' '));
  t.deepEqual(lines[0]?.items?.map((item) => item.run_id), [run_id]);
  t.deepEqual(lines[1]?.items?.map((item) => item.run_id), [run_id], 'forged');
  t.deepEqual(lines.slice(2, 5).map(({ code }) => code), ['forbidden', 'forbidden', 'forbidden']);
  t.deepEqual(lines.slice(5, 7).map(({ code }) => code), ['not_found', 'not_found']);
  t.like(lines[7], { status: 'ok' });
  t.is((await installation.api<{ state: string }>('GET', `/chat/run/${other.run_id}`)).body.state, 'Active');
  const { body: actions } = await installation.api<Actions>('GET', `/chat/run/${run_id}/actions`);
  t.false(actions.items.some(({ event }) => event.type.startsWith('egress.')), 'nothing of it is recorded as egress');
});

test.serial('An agent whose requests are used up, and that nothing is allowed to, still hears why and how much is left', async (t) => {
  const { lines: [why] } = await answers<{ effect?: string; code?: string; next_steps?: string[]; run_state?: string; budget?: { requests?: { limit: number; remaining: number } } }>([
    `curl -s 'http://absent.test/' >/dev/null;`, curl('/chat/why?url=http%3A%2F%2Fabsent.test%2F&method=POST'),
  ].join(' '), ['--budget', 'requests=0']);
  t.like(why, { effect: 'deny', code: 'policy_denied', run_state: 'Active' });
  t.deepEqual(why?.budget?.requests, { limit: 0, used: 0, reserved: 0, remaining: 0 } as never);
  t.true(why?.next_steps?.some((step) => step.includes('--allow absent.test:80:POST')));
});

test.serial('A refusal names the question to ask, without the values of the query, and the question is answered', async (t) => {
  const script = [
    `problem=$(curl -s 'http://absent.test/a/b?token=secret');`,
    `echo "$problem" | grep -q secret && echo '{"leaked":true}';`,
    `link=$(echo "$problem" | grep -o 'http://sallyport.internal/chat/why[^ ]*');`,
    `curl -s "$link"; echo;`,
  ].join(' ');
  const { lines } = await answers<{ url?: string; effect?: string }>(script);
  t.is(lines.length, 1);
  t.like(lines[0], { url: 'http://absent.test/a/b', effect: 'deny' });
});

test.serial('A client that speaks HTTP through a tunnel to port 80 reaches it as well', async (t) => {
  const { run_id, lines } = await answers<{ items?: { run_id: string }[] }>(curl('/chat/run', '--proxytunnel'));
  t.deepEqual(lines[0]?.items?.map((item) => item.run_id), [run_id]);
});
