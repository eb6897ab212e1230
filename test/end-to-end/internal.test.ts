/** A jailed agent and the control plane: what it can ask of `sallyport.internal`, and as whom. */
import { request } from 'node:http';
import { join } from 'node:path';
import { startInstallation, type Installation } from '../helpers/installation.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';
import { parsePrometheus } from '../helpers/prometheus.ts';
import { until } from '../helpers/wait.ts';

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

/** An answer of the local API that is not JSON. */
function text(data: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ socketPath: join(data, 'api.sock'), path }, (response) => {
      let answer = '';
      response.setEncoding('utf8').on('data', (chunk: string) => { answer += chunk; }).on('end', () => { resolve(answer); }).on('error', reject);
    }).on('error', reject).end();
  });
}

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

test.serial('The stream of its own run comes piece by piece, and another\'s is refused', async (t) => {
  const { body: other } = await installation.api<Created>('POST', '/chat/run', { goal: 'other' });
  const script = [
    `id=$(curl -s http://sallyport.internal/chat/run | grep -o 'run_0[0-9a-f-]*' | head -1);`,
    `mkfifo pieces; curl -sN http://sallyport.internal/chat/run/$id/stream >pieces & head -2 <pieces | grep -c -E '^(event: state|data: )'; kill $!;`,
    `curl -s http://sallyport.internal/chat/run/${other.run_id}/stream | tr -d '\\n'; echo;`,
  ].join(' ');
  const { lines } = await answers<{ code?: string }>(script);
  t.deepEqual(lines[0] as unknown, 2);
  t.is(lines[1]?.code, 'forbidden');
});

test.serial('A client that speaks HTTP through a tunnel to port 80 reaches it as well', async (t) => {
  const { run_id, lines } = await answers<{ items?: { run_id: string }[] }>(curl('/chat/run', '--proxytunnel'));
  t.deepEqual(lines[0]?.items?.map((item) => item.run_id), [run_id]);
});

test.serial('The metrics of the worker come to the control plane, and an agent can read none of them', async (t) => {
  const { lines: [told] } = await answers<{ code?: string }>(`curl -s 'http://absent.test/' >/dev/null; ${curl('/metrics')}`);
  t.is(told?.code, 'not_found');
  const samples = await until('the refusal among the metrics', async () => {
    const read = parsePrometheus(await text(installation.data, '/metrics'));
    return read.some(({ name, labels }) => name === 'sallyport_proxy_refusals_total' && labels['code'] === 'policy_denied' && labels['proxy'] !== undefined) && read;
  });
  t.true((samples.find(({ name }) => name === 'sallyport_proxies_connected')?.value ?? 0) >= 1);
  t.is(samples.find(({ name }) => name === 'sallyport_proxy_control_plane_connected')?.value, 1);
  t.true((samples.find(({ name }) => name === 'sallyport_segments_ingested_total')?.value ?? 0) > 0);
});
