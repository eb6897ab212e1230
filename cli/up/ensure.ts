import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../../contracts/clock.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { fromProblem } from '../api-client.ts';
import type { Environment } from '../config.ts';
import { compileCacheVariable } from './compile-cache.ts';
import { openLink, type Link } from './link-client.ts';
import type { StartMessage } from './messages.ts';

/** Until an `up` that starts, or one that ends, has made up its mind. Milliseconds. */
const patience = 75_000;
const retryAfter = 25;

/** A hold on the folder's `up`: the running one, or one on sockets only that is started for it and ends by itself later. */
export async function ensureUp(folder: string, environment: Environment, clock: Clock): Promise<Link> {
  const end = clock.monotonic() + patience;
  while (clock.monotonic() < end) {
    const link = await openLink(folder);
    if (link !== undefined) {
      const state = await link.state;
      if (state.kind === 'ready') return link;
      link.close();
      if (state.kind === 'failed') throw state.error;
      await pause(clock, retryAfter);
      continue;
    }
    const problem = await startDetached(folder, environment, clock);
    // Somebody else was faster, or the one before is just ending.
    if (problem?.code === 'data_folder_in_use') await pause(clock, retryAfter);
    else if (problem !== undefined) throw problem;
  }
  throw new SallyportError('data_folder_in_use', `Another process has owned the data folder ${folder} for ${patience / 1000} s and answers nobody.`);
}

/** Gives what was wrong, once it is ready or has failed. It lives on in a session of its own. */
function startDetached(folder: string, environment: Environment, clock: Clock): Promise<SallyportError | undefined> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [
      '--disable-warning=ExperimentalWarning', '--disallow-code-generation-from-strings',
      fileURLToPath(new URL('../start.cjs', import.meta.url)), 'up', '--sockets-only', '--data', folder,
    ], {
      detached: true, cwd: '/', stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: {
        ...environment.forChildren,
        ...compileCacheVariable(),
        ...(environment.databaseUrl !== undefined && { DATABASE_URL: environment.databaseUrl }),
      },
    });
    const late = clock.setTimeout(() => {
      child.kill('SIGKILL');
      settle(new SallyportError('internal', `up was not ready within ${patience / 1000} s and was ended.`));
    }, patience);
    const settle = (problem: SallyportError | undefined): void => {
      late.cancel();
      child.removeAllListeners();
      if (child.connected) child.disconnect();
      child.unref();
      resolve(problem);
    };
    child.once('message', (message: StartMessage) => {
      if (message.type === 'ready') return settle(undefined);
      // It has said why, and is about to end: whoever reads the reason finds nothing of it left.
      child.removeAllListeners('exit').once('exit', () => settle(fromProblem(message.problem, 'up could not start.')));
    });
    child.once('error', (error) => settle(new SallyportError('internal', `up could not be started: ${error.message}.`)));
    child.once('exit', (code, signal) => settle(new SallyportError('internal', `up ended while it started (${signal ?? `exit code ${code}`}).`)));
  });
}

function pause(clock: Clock, milliseconds: number): Promise<void> {
  return new Promise((resolve) => { clock.setTimeout(resolve, milliseconds); });
}
