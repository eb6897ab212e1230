import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { commandLine, processTree } from '../machine/usage.ts';
import type { Peer, Place } from './peer.ts';

const run = promisify(execFile);
const program = fileURLToPath(new URL('../../bin/sallyport', import.meta.url));
const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

/** The product as anybody starts it: policy, budget, journal and metrics on, one worker. */
export const sallyport: Peer = {
  name: 'sallyport', program: undefined, tunnels: true, keepsAlive: true, intercepts: true, note: 'all checks on, one worker; its control plane has the load\'s cores, at the lowest priority',
  start: async (place) => {
    const { stage, folder } = place;
    const data = join(folder, 'data');
    // The supervisor and its control plane are born on the load's cores; only the worker moves.
    const up = stage.children.start('sallyport up', process.execPath, ['--disable-warning=ExperimentalWarning', main, 'up', '--data', data, '--upstream-ca', place.origins.tls.certificate, '--listen', '127.0.0.1:0', '--api', '127.0.0.1:0', '--json'], {
      cores: stage.cores.load, log: join(folder, 'log'),
    });
    const { addresses } = await up.line() as { readonly addresses: { readonly proxy: { readonly port: number }; readonly api: string } };
    const all = processTree(up.pid);
    const proxy = all.filter((pid) => commandLine(pid).includes('proxy/main.ts'));
    if (proxy.length !== 1) throw new Error(`Sallyport has ${proxy.length} workers instead of one`);
    if (stage.children.pinned) await run('taskset', ['-apc', stage.cores.proxy, String(proxy[0])]);
    // On its own machine it would not take the load's time; what it then does later is waited for between rounds.
    const beside = all.filter((pid) => !proxy.includes(pid));
    for (const pid of beside) await leastOften(pid);
    return {
      port: addresses.proxy.port, authorizations: await createRuns(place, data), proxy, beside,
      lag: () => unshippedBytes(addresses.api), stop: () => stage.children.end(up),
    };
  },
};

/** Each child of an `up` is a session, and so a group of its own to the scheduler, where that makes groups. */
async function leastOften(pid: number): Promise<void> {
  await run('renice', ['-n', '19', '-p', String(pid)]);
  await writeFile(`/proc/${pid}/autogroup`, '19').catch(() => undefined);
}

async function createRuns({ origins, agents }: Place, data: string): Promise<readonly string[]> {
  const { tls, ...others } = origins;
  const ports = Object.values(others).map(({ port }) => port).join(',');
  const authorizations: string[] = [];
  for (let agent = 0; agent < agents; agent++) {
    const { stdout } = await run(program, [
      'runs', 'create', '--data', data, '--json', '--allow', `127.0.0.1:${ports}:GET,POST`, '--allow', `127.0.0.1:${ports}:TUNNEL`, '--allow', `localhost:${tls.port}:GET`, '--resolve', `localhost:${tls.port}:127.0.0.1`, '--allow-address', '127.0.0.0/8', '--intercept',
      '--budget', 'requests=1000000000,bytes_out=1TiB,bytes_in=1TiB,wall_clock=24h',
    ]);
    const { run_id, agent_token } = JSON.parse(stdout) as { readonly run_id: string; readonly agent_token: string };
    authorizations.push(`Basic ${Buffer.from(`${run_id}:${agent_token}`).toString('base64')}`);
  }
  return authorizations;
}

/** As an operator's Prometheus sees it: closed segments that the control plane has not taken, at most some seconds old. */
async function unshippedBytes(api: string): Promise<number> {
  const answer = await fetch(`http://${api}/metrics`);
  const bytes = /^sallyport_proxy_journal_unshipped_bytes(?:\{[^}]*\})? (\S+)$/m.exec(await answer.text())?.[1];
  return bytes === undefined ? Number.NaN : Number(bytes);
}
