import { join } from 'node:path';
import { startNode } from '../machine/node.ts';
import type { LoadResult } from '../load/job.ts';
import type { Target } from '../load/target.ts';
import type { Origins, Stage } from '../stage.ts';
import type { Contender } from './work.ts';

/** Beyond the time that was asked for: for connecting, and for generators to give up by themselves, which tells more. */
const graceSeconds = 60;

/** How this contender is asked for something of that origin. Through no proxy there is no CONNECT either. */
export function targetOf({ running }: Contender, origins: Origins, origin: keyof Origins, through: 'absolute' | 'tunnel'): Target {
  const { port } = origins[origin];
  return { port: running.port ?? port, form: running.port === undefined ? 'origin' : through, authority: `${origin === 'tls' ? 'localhost' : '127.0.0.1'}:${port}`, authorizations: running.authorizations };
}

type Script = 'exchanges' | 'open-loop' | 'event-streams' | 'tls-tools';

/** Runs a generator in a process of its own. Throws when anything was wrong, unless the caller wants to count that. */
export async function runLoad<Result extends LoadResult>({ children, folder, cores }: Stage, script: Script, job: { readonly seconds: number }, { wrongIsAnError = true } = {}): Promise<Result> {
  const child = startNode(children, script, new URL(`../load/${script}.ts`, import.meta.url), { cores: cores.load, log: join(folder, 'load.log') });
  try {
    child.tell(JSON.stringify(job));
    const result = await withinSeconds(job.seconds + graceSeconds, child.line(), script) as unknown as Result;
    if (wrongIsAnError && result.wrong > 0) throw new Error(`${result.problem ?? 'wrong'} (${result.wrong} of ${result.wrong + result.count})`);
    return result;
  } finally {
    await children.end(child);
  }
}

export async function withinSeconds<Value>(seconds: number, value: Promise<Value>, what: string): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([value, new Promise<never>((_, reject) => {
      timer = setTimeout(() => { reject(new Error(`${what} did not end within ${seconds} s`)); }, seconds * 1000);
    })]);
  } finally {
    clearTimeout(timer);
  }
}
