import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { SallyportError } from '../../contracts/errors.ts';
import type { JsonValue } from '../../contracts/json.ts';
import type {
  BuiltModule, CompilerRequest, CompilerResponse, FileCoverage, ModuleFacts, SourceError, Sources, TestResult, WorkerAnswer,
} from './protocol.ts';

/** What a call answers when the sources are wrong. */
export interface Rejected {
  readonly status: 'rejected';
  readonly errors: readonly SourceError[];
}

/** Rego's compiler. Calls run one after another in a worker thread; 16 may wait, each has 60 s. */
export interface Compiler {
  /** OPA's version. */
  version(): Promise<string>;
  /** Syntax, package law, and what each file defines. */
  inspect(sources: Sources): Promise<Rejected | { readonly status: 'ok'; readonly modules: readonly ModuleFacts[] }>;
  /** Strict: types against the input schema, capabilities, package law. */
  check(sources: Sources): Promise<Rejected | { readonly status: 'ok' }>;
  format(files: Sources['files']): Promise<Rejected | { readonly status: 'ok'; readonly files: Sources['files'] }>;
  /** Checks and compiles everything but the tests. */
  build(sources: Sources, entrypoint: string): Promise<Rejected | ({ readonly status: 'ok' } & BuiltModule)>;
  /** Runs the tests on OPA's own evaluator. Coverage by file, tests left out. */
  test(sources: Sources, data: JsonValue): Promise<Rejected | { readonly status: 'ok'; readonly tests: readonly TestResult[]; readonly coverage: Readonly<Record<string, FileCoverage>> }>;
  /** The answers of OPA's own evaluator: the second opinion beside the WASM. Null where undefined. */
  evaluate(sources: Sources, entrypoint: string, data: JsonValue, inputs: readonly unknown[]): Promise<Rejected | { readonly status: 'ok'; readonly results: readonly JsonValue[] }>;
  close(): Promise<void>;
}

const callTimeoutMs = 60_000;
const waitingCalls = 16;

class CompilerThread {
  readonly #modulePath: string;
  #worker: Worker | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #closed = false;

  constructor(modulePath: string) {
    this.#modulePath = modulePath;
  }

  async call(request: CompilerRequest): Promise<CompilerResponse> {
    if (this.#waiting >= waitingCalls) throw new SallyportError('overloaded', `The policy compiler has ${waitingCalls} calls waiting.`);
    this.#waiting++;
    const turn = this.#turn.then(() => this.#perform(request)).finally(() => this.#waiting--);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  async #perform(request: CompilerRequest): Promise<CompilerResponse> {
    if (this.#closed) throw new SallyportError('internal', 'The policy compiler is closed.');
    const worker = this.#worker ?? (await this.#start());
    worker.ref();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    worker.postMessage(JSON.stringify(request));
    const answer = await this.#answer(worker, `the policy compiler gave no answer to ${request.op}`);
    worker.unref();
    if (answer.kind !== 'answer') throw new SallyportError('internal', `The policy compiler failed: ${answer.kind === 'fault' ? answer.message : 'it started anew'}.`);
    const response = JSON.parse(answer.text) as CompilerResponse;
    if (response.fault !== undefined) throw new SallyportError('internal', `The policy compiler failed: ${response.fault}`);
    return response;
  }

  async #start(): Promise<Worker> {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: { modulePath: this.#modulePath }, env: {}, name: 'policy-compiler', stdout: true, stderr: true,
    });
    // What dies between calls is found by the next one.
    worker.on('error', () => undefined).on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
    });
    this.#worker = worker;
    const answer = await this.#answer(worker, 'the policy compiler did not start');
    if (answer.kind === 'fault') throw new SallyportError('internal', `The policy compiler did not start: ${answer.message}`);
    return worker;
  }

  async #answer(worker: Worker, late: string): Promise<WorkerAnswer> {
    const settled = new AbortController();
    const { signal } = settled;
    const timeout = setTimeout(() => settled.abort(new Error(`${late} within ${callTimeoutMs / 1000} s`)), callTimeoutMs);
    try {
      const ended = once(worker, 'exit', { signal }).then((): never => {
        throw new Error('its thread ended');
      });
      const [answer] = await Promise.race([once(worker, 'message', { signal }) as Promise<[WorkerAnswer]>, ended]);
      ended.catch(() => undefined);
      return answer;
    } catch (error) {
      if (this.#worker === worker) this.#worker = undefined;
      await worker.terminate();
      const reason = signal.reason instanceof Error ? signal.reason : error;
      throw new SallyportError('internal', `The policy compiler failed: ${reason instanceof Error ? reason.message : String(reason)}.`, { cause: error });
    } finally {
      clearTimeout(timeout);
      settled.abort();
    }
  }
}

const rejected = (errors: readonly SourceError[]): Rejected => ({ status: 'rejected', errors });

function requestOf(sources: Sources): Pick<CompilerRequest, 'files' | 'capabilities' | 'input_schema'> {
  return {
    files: sources.files,
    capabilities: JSON.parse(sources.capabilities) as JsonValue,
    input_schema: JSON.parse(sources.inputSchema) as JsonValue,
  };
}

/** `modulePath` is what policies/compiler/build made. Throws `compiler_missing` when it is not there. */
export async function openCompiler(modulePath: string): Promise<Compiler> {
  try {
    await access(modulePath);
  } catch (cause) {
    throw new SallyportError('compiler_missing', `The policy compiler is not at ${modulePath}.`, { cause });
  }
  const thread = new CompilerThread(modulePath);
  return {
    async version() {
      return (await thread.call({ op: 'version' })).version ?? '';
    },
    async inspect(sources) {
      const { errors, modules } = await thread.call({ op: 'inspect', ...requestOf(sources) });
      return errors.length > 0 ? rejected(errors) : { status: 'ok', modules: modules ?? [] };
    },
    async check(sources) {
      const { errors } = await thread.call({ op: 'check', ...requestOf(sources) });
      return errors.length > 0 ? rejected(errors) : { status: 'ok' };
    },
    async format(files) {
      const { errors, formatted } = await thread.call({ op: 'format', files });
      return errors.length > 0 ? rejected(errors) : { status: 'ok', files: formatted ?? {} };
    },
    async build(sources, entrypoint) {
      const { errors, wasm, input_paths } = await thread.call({ op: 'build', ...requestOf(sources), entrypoint });
      if (errors.length > 0 || wasm === undefined) return rejected(errors);
      return { status: 'ok', wasm: Uint8Array.from(Buffer.from(wasm, 'base64')), input_paths: input_paths ?? [[]] };
    },
    async test(sources, data) {
      const { errors, tests, coverage } = await thread.call({ op: 'test', ...requestOf(sources), data });
      return errors.length > 0 ? rejected(errors) : { status: 'ok', tests: tests ?? [], coverage: coverage ?? {} };
    },
    async evaluate(sources, entrypoint, data, inputs) {
      const { errors, results } = await thread.call({ op: 'evaluate', ...requestOf(sources), data, entrypoint, inputs });
      return errors.length > 0 ? rejected(errors) : { status: 'ok', results: results ?? [] };
    },
    close: () => thread.close(),
  };
}
