import { execFileSync } from 'node:child_process';
import type { Lifetime } from './lifetime.ts';
import { startProcess, type ProcessOptions, type TestProcess } from './process.ts';
import { until } from './wait.ts';

/** Another machine: a network namespace with a cable to the world's, and nothing else. Needs the world, as root. */
export interface Machine {
  /** Its own address, and the world's at the other end of the cable. */
  readonly address: string;
  readonly gateway: string;
  start(command: string, args: readonly string[], options?: ProcessOptions): TestProcess;
}

export async function startMachine(lifetime: Lifetime): Promise<Machine> {
  const holder = startProcess(lifetime, 'unshare', ['--net', 'sh', '-c', 'echo made; exec sleep 3600']);
  await holder.line(/^made$/);
  const pid = String(holder.pid);
  const inside = ['--target', pid, '--net'];
  // Names are at most 15 characters, and addresses are this machine's among those of other test files.
  const [near, far] = [`a${pid}`, `b${pid}`];
  const [gateway, address] = [1, 2].map((last) => `10.77.${holder.pid % 250}.${last}`) as [string, string];
  const run = (command: string, ...args: readonly string[]): void => { execFileSync(command, args, { stdio: 'pipe' }); };
  run('ip', 'link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', pid);
  run('ip', 'address', 'add', `${gateway}/24`, 'dev', near);
  run('ip', 'link', 'set', near, 'up');
  for (const line of [`address add ${address}/24 dev ${far}`, 'link set lo up', `link set ${far} up`, `route add default via ${gateway}`]) run('nsenter', ...inside, 'ip', ...line.split(' '));
  await until('the cable to carry', () => {
    try {
      run('nsenter', ...inside, 'ping', '-c', '1', '-W', '1', gateway);
      return true;
    } catch (error) {
      // Without ping the first connection has to do.
      return (error as { readonly status?: number }).status === 127 || /ping: No such file|failed to execute/.test(String((error as { readonly stderr?: unknown }).stderr));
    }
  });
  return { address, gateway, start: (command, args, options) => startProcess(lifetime, 'nsenter', [...inside, command, ...args], options) };
}
