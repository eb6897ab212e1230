import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Lifetime } from './lifetime.ts';
import { within } from './wait.ts';

/** Kept of each output; a process that says more is cut at the front. */
const keptOutput = 4 * 1024 * 1024;

const root = fileURLToPath(new URL('../../', import.meta.url));

export interface ProcessOptions {
  /** Replaces the environment. Default: the test's own. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Written to standard input, which is then closed. Default: no input. */
  readonly input?: string;
  readonly uid?: number;
  readonly gid?: number;
}

export interface Exit {
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
}

export interface TestProcess {
  readonly pid: number;
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** The first line on either output, past or to come, that matches. Rejects at the deadline, or when the process ends without it. */
  line(pattern: RegExp, deadline?: number): Promise<RegExpExecArray>;
  /** Settles when the process has ended and both outputs are closed. */
  exit(deadline?: number): Promise<Exit>;
  /** Signals the process alone. */
  kill(signal: NodeJS.Signals): void;
}

/**
 * Starts a program that dies with its lifetime: it leads a process group, which is killed whole.
 * A program that can't be started rejects from `exit` and `line`.
 */
export function startProcess(lifetime: Lifetime, command: string, args: readonly string[], options: ProcessOptions = {}): TestProcess {
  const child = spawn(command, args, {
    cwd: options.cwd ?? root,
    env: options.env ?? process.env,
    detached: true,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...(options.uid === undefined ? {} : { uid: options.uid }),
    ...(options.gid === undefined ? {} : { gid: options.gid }),
  });
  const output = { stdout: '', stderr: '' };
  const watchers = new Set<() => void>();
  const changed = (): void => { for (const watcher of watchers) watcher(); };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      output[name] = (output[name] + text).slice(-keptOutput);
      changed();
    });
  }
  child.stdin?.on('error', () => { /* The program may end before it has read its input. */ });
  child.stdin?.end(options.input);

  let ended: Exit | undefined;
  const closed = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      ended = { code: code ?? undefined, signal: signal ?? undefined };
      resolve(ended);
      changed();
    });
  });
  closed.catch(() => { /* Told by exit() and line(). */ });

  lifetime.teardown(async () => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The group is gone.
    }
    await within(`the end of ${command} after SIGKILL`, closed);
  });

  const described = (): string => `${command} ${args.join(' ')}\n--- stdout\n${output.stdout}\n--- stderr\n${output.stderr}`;
  return {
    pid: child.pid ?? -1,
    child,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    line: (pattern, deadline) => {
      const seen = new Promise<RegExpExecArray>((resolve, reject) => {
        const look = (): void => {
          for (const text of [output.stdout, output.stderr]) {
            for (const line of text.split('\n')) {
              const match = pattern.exec(line);
              if (match !== null) {
                watchers.delete(look);
                resolve(match);
                return;
              }
            }
          }
          if (ended !== undefined) {
            watchers.delete(look);
            reject(new Error(`Ended (${ended.code ?? ended.signal}) without a line ${pattern}: ${described()}`));
          }
        };
        watchers.add(look);
        look();
        closed.catch(reject);
      });
      return within(`a line ${pattern} from ${command}`, seen, deadline).catch((error: unknown) => {
        throw new Error(`${String(error)}\n${described()}`, { cause: error });
      });
    },
    exit: (deadline) => within(`the end of ${command} ${args.join(' ')}`, closed, deadline).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${described()}`, { cause: error });
    }),
    kill: (signal) => { child.kill(signal); },
  };
}

/** Runs the `sallyport` command as a user would. */
export function startSallyport(lifetime: Lifetime, args: readonly string[], options: ProcessOptions = {}): TestProcess {
  return startProcess(lifetime, `${root}bin/sallyport`, args, options);
}
