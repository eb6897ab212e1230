import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Clock, Timer } from '../../contracts/clock.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { findTool } from '../../sandbox/launch/tools.ts';
import { fromProblem } from '../api-client.ts';
import type { ChildMessage, ConfigurationMessage, DrainMessage, ReadyReport } from './messages.ts';

/** Milliseconds between restarts: doubles from the first to the second while the child dies before it is ready. */
const firstBackOff = 100;
const longestBackOff = 5000;
/** A first start makes a database. */
const startWithin = 60_000;
/** For a last segment to be written and shipped. */
const stopWithin = 10_000;

export interface ChildDescription {
  /** For a person: "control plane". */
  readonly name: string;
  readonly script: URL;
  /** What it is told first, once that is known: it loads its code meanwhile. */
  configuration(): unknown;
  readonly environment: Readonly<Record<string, string>>;
  /** Open sockets of this process that it inherits, as its descriptors 4, 5, ... */
  readonly descriptors?: readonly number[];
  /** Where `log` goes, for a person. */
  readonly logFile: string;
  /** Takes what the process writes, and what happens to it. */
  log(text: string | Buffer): void;
}

/** One process of an `up`: started, watched, restarted when it dies, stopped. Its start fails only once, the first time. */
export class Child {
  readonly #description: ChildDescription;
  readonly #clock: Clock;
  #process: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #stopping = false;
  /** Its end is our doing. */
  #killed = false;
  #backOff = firstBackOff;
  #restart: Timer | undefined;
  #ready = false;
  /** Settled with the start of a successor that was asked for. */
  #replacement: PromiseWithResolvers<void> | undefined;

  constructor(description: ChildDescription, clock: Clock) {
    this.#description = description;
    this.#clock = clock;
  }

  /** The first start: rejects with the child's own problem when it can't be had, and nothing stays behind. */
  async start(): Promise<ReadyReport> {
    const report = await this.#launch(true);
    this.#watch();
    return report;
  }

  /** Asks it to end, waits, and kills it when it doesn't. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#restart?.cancel();
    this.#replacement?.reject(new SallyportError('overloaded', `The ${this.#description.name} is stopping.`));
    this.#replacement = undefined;
    const { pid } = this.#process ?? {};
    if (pid === undefined) return;
    this.#process?.kill('SIGTERM');
    const late = this.#clock.setTimeout(() => {
      this.#say('did not end in time and was killed');
      this.#process?.kill('SIGKILL');
    }, stopWithin);
    await this.#exited;
    late.cancel();
  }

  /** Has it finish what it has under way, for at most so many milliseconds; settles when its successor is ready. */
  async replace(drainMs: number): Promise<void> {
    const { name } = this.#description;
    const child = this.#process;
    if (!this.#ready || child === undefined || this.#stopping || this.#replacement !== undefined) {
      throw new SallyportError('overloaded', `The ${name} is just starting or ending.`, { next_steps: ['Try again when it is ready.'] });
    }
    const replacement = this.#replacement = Promise.withResolvers<void>();
    this.#send(child, { type: 'drain', milliseconds: drainMs });
    const late = this.#clock.setTimeout(() => {
      this.#say('did not end in time and was killed');
      child.kill('SIGKILL');
    }, drainMs + stopWithin);
    try {
      await replacement.promise;
    } finally {
      late.cancel();
    }
  }

  #launch(first: boolean): Promise<ReadyReport> {
    const { script, environment, log, descriptors = [] } = this.#description;
    const child = fork(fileURLToPath(script), [], {
      // The kernel ends it with us, whatever it is stuck in: a PGlite whose folder is gone loops in its WASM and hears no 'disconnect'.
      execPath: findTool('setpriv'),
      execArgv: ['--pdeathsig', 'KILL', process.execPath, '--disable-warning=ExperimentalWarning', '--disallow-code-generation-from-strings'],
      env: environment,
      cwd: '/',
      // A group of its own: Ctrl-C in the terminal is the supervisor's to handle.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc', ...descriptors],
    });
    this.#process = child;
    this.#killed = false;
    this.#ready = false;
    child.stdout?.on('data', log);
    child.stderr?.on('data', log);
    child.on('error', (error) => this.#say(`could not be started: ${error.message}`));
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#process = undefined;
        if (!this.#stopping && !this.#killed && this.#replacement === undefined) this.#say(`ended by itself (${signal ?? `exit code ${code}`})`);
        resolve();
      });
      child.once('error', () => { if (child.pid === undefined) resolve(); });
    });
    return this.#told(child, first);
  }

  /** The first time somebody waits for the outcome: what it waits for itself is then a failure. */
  async #told(child: ChildProcess, first: boolean): Promise<ReadyReport> {
    const { name, configuration, logFile } = this.#description;
    const said = Promise.withResolvers<ChildMessage | SallyportError>();
    const fail = (detail: string): void => said.resolve(new SallyportError('internal', detail, { next_steps: [`See ${logFile}.`] }));
    const late = this.#clock.setTimeout(() => fail(`The ${name} was not ready within ${startWithin / 1000} s.`), startWithin);
    child.on('message', (heard: ChildMessage) => { if (heard.type !== 'waiting' || first) said.resolve(heard); });
    void this.#exited.then(() => fail(`The ${name} ended while it started.`));
    void Promise.resolve(configuration()).then((told) => this.#send(child, { type: 'configuration', configuration: told }));
    const heard = await said.promise;
    late.cancel();
    if (!(heard instanceof SallyportError) && heard.type === 'ready') {
      this.#ready = true;
      return { addresses: heard.addresses, notices: heard.notices ?? [] };
    }
    this.#killed = true;
    child.kill('SIGKILL');
    await this.#exited;
    if (heard instanceof SallyportError) throw heard;
    // What nobody foresaw is told in the log alone.
    if (heard.problem.code === 'internal') throw new SallyportError('internal', `The ${name} could not start.`, { next_steps: [`See ${logFile}.`] });
    throw fromProblem(heard.problem, `The ${name} could not start.`);
  }

  #send(child: ChildProcess, message: ConfigurationMessage | DrainMessage): void {
    if (!child.connected) return;
    child.send(message, (error) => { if (error !== null) this.#say(`could not be told something: ${error.message}`); });
  }

  #watch(): void {
    void this.#exited.then(() => {
      if (this.#stopping) return;
      const replacement = this.#replacement;
      this.#restart = this.#clock.setTimeout(() => {
        this.#launch(false).then(
          () => {
            this.#backOff = firstBackOff;
            this.#say(replacement === undefined ? 'was restarted' : 'was replaced');
            replacement?.resolve();
          },
          (error: unknown) => {
            this.#say(`could not be restarted: ${(error instanceof Error ? error.message : String(error)).replace(/\.$/, '')}`);
            replacement?.reject(error);
          },
        );
        this.#replacement = undefined;
        this.#watch();
      }, replacement === undefined ? this.#backOff : 0);
      this.#backOff = Math.min(this.#backOff * 2, longestBackOff);
    });
  }

  #say(text: string): void {
    this.#description.log(`${JSON.stringify({ time: this.#clock.now(), msg: `The ${this.#description.name} ${text}.` })}\n`);
  }
}
