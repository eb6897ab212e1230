import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const sallyport = fileURLToPath(new URL('../bin/sallyport', import.meta.url));

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command as a person types it. */
export async function command(args: readonly string[]): Promise<Finished> {
  const child = spawn(sallyport, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (text: string) => { said[name] += text; });
  const [code] = await once(child, 'close') as [number | null];
  return { code: code ?? 70, ...said };
}

export class DemoFailure extends Error {}

/** The same, where anything but success means that there is nothing to show. */
export async function mustSucceed(args: readonly string[]): Promise<Finished> {
  const finished = await command(args);
  if (finished.code !== 0) throw new DemoFailure(`sallyport ${args.join(' ')} ended with ${finished.code}:\n${finished.stdout}${finished.stderr}`);
  return finished;
}
