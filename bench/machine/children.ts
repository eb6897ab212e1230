import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { programPath } from './programs.ts';
import { lives, processTree } from './usage.ts';

/** Longest line a child may print before it counts as broken. */
const longestLine = 1 << 20;
const politeMs = 3_000;
const lastMs = 10_000;

/** Sets the limit of open files as high as this machine lets us, then becomes the program. */
const raised = ['sh', '-c', 'ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec "$@"', 'sh'];

export interface Child {
  readonly name: string;
  readonly pid: number;
  /** The next line of its standard output as JSON. Throws when it ends before. */
  line(): Promise<Readonly<Record<string, unknown>>>;
  tell(line: string): void;
  ended(): boolean;
  /** The end of its standard error. */
  lastWords(): string;
}

export interface StartOptions {
  /** A list of cores as `taskset -c` takes it. */
  readonly cores: string;
  /** Where its standard error goes. */
  readonly log: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** All processes that the bench has started; none of them outlives it. */
export class Children {
  readonly #all = new Map<number, { readonly process: ChildProcess; readonly exited: Promise<unknown> }>();
  readonly pinned = programPath('taskset') !== undefined;
  #closed = false;

  start(name: string, command: string, args: readonly string[], { cores, log, environment = {} }: StartOptions): Child {
    if (this.#closed) throw new Error('the bench is ending');
    const [program = '', ...rest] = [...raised, ...(this.pinned ? ['taskset', '-c', cores] : []), command, ...args];
    const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
    const { pid } = child;
    if (pid === undefined) throw new Error(`${name} cannot be started`);
    const exited = once(child, 'exit');
    this.#all.set(pid, { process: child, exited });
    child.stderr.pipe(createWriteStream(log, { flags: 'a' }));
    let lastWords = '';
    child.stderr.on('data', (bytes: Buffer) => { lastWords = (lastWords + String(bytes)).slice(-300); });
    child.stdin.on('error', () => { /* It has ended, which its missing line tells. */ });
    return {
      name, pid, line: lineReader(name, child, () => lastWords), ended: () => child.exitCode !== null || child.signalCode !== null,
      lastWords: () => lastWords.trim(),
      tell: (line) => { child.stdin.write(`${line}\n`); },
    };
  }

  /** Ends a child and what it has started: politely, then not. */
  async end(child: Pick<Child, 'pid'>): Promise<void> {
    const started = this.#all.get(child.pid);
    if (started === undefined) return;
    const tree = processTree(child.pid);
    started.process.kill('SIGTERM');
    await Promise.race([started.exited, pause(politeMs, undefined, { ref: false })]);
    started.process.kill('SIGKILL');
    await started.exited;
    this.#all.delete(child.pid);
    // What it has started ends by itself when it has gone, or is ended.
    const deadline = Date.now() + lastMs;
    while (tree.some(lives) && Date.now() < deadline) await pause(20);
    for (const pid of tree.filter(lives)) process.kill(pid, 'SIGKILL');
  }

  /** For good: nothing can be started any more. */
  async endAll(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#all.keys()].map((pid) => this.end({ pid })));
  }
}

function lineReader(name: string, child: ChildProcess, lastWords: () => string): Child['line'] {
  let text = '';
  let wake = (): void => { /* Nobody waits yet. */ };
  let over = false;
  child.stdout!.setEncoding('utf8').on('data', (piece: string) => { if (text.length < longestLine) text += piece; wake(); });
  child.once('close', () => { over = true; wake(); });
  return async () => {
    for (;;) {
      const end = text.indexOf('\n');
      if (end >= 0) {
        const line = text.slice(0, end);
        text = text.slice(end + 1);
        try {
          return JSON.parse(line) as Readonly<Record<string, unknown>>;
        } catch {
          continue;
        }
      }
      if (over) throw new Error(`${name} ended (${child.exitCode ?? child.signalCode}) without its answer. ${lastWords()}`);
      await new Promise<void>((resolve) => { wake = resolve; });
    }
  };
}
