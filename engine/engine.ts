import { decisionFault, type Decision } from '../contracts/decision.ts';
import { SallyportError } from '../contracts/errors.ts';
import type { PolicyInput } from '../contracts/policy-input.ts';
import type { Bundle } from './bundle.ts';
import { inOrder } from './decision-order.ts';
import { goldenFault, goldenInputs } from './golden.ts';
import { inputWriter } from './input-text.ts';
import { createInstance, type PolicyInstance } from './instance.ts';

export interface EngineOptions {
  /** Monotonic milliseconds. */
  readonly now?: () => number;
  /** A new instance is in use because the old one threw (event `engine.replaced`). */
  readonly onReplaced?: (facts: { readonly throws: number; readonly reason: string }) => void;
}

export interface EngineCounts {
  readonly evaluations: number;
  readonly throws: number;
  readonly replaced: number;
  readonly invalid: number;
}

/**
 * Every evaluation that aborts leaks WASM stack, and after some 500 the instance throws for ever. It is replaced after the first;
 * the replacement (100 ms with 100,000 hosts in data) is made off the request's way and at most once a second, so until it is there
 * the old one goes on, but never past this many throws.
 */
const mostThrows = 32;
const replaceEveryMs = 1000;
/** Evaluations before first use; the first ones are 20 times slower than the later ones. */
const warmUpEvaluations = 400;

/** A loaded policy revision. `decide` is synchronous and takes about 15 us. */
export class Engine {
  readonly bundle: Bundle;
  readonly #module: WebAssembly.Module;
  readonly #write: (input: PolicyInput) => string;
  readonly #now: () => number;
  readonly #onReplaced: EngineOptions['onReplaced'];
  #instance: PolicyInstance;
  #throwsOfInstance = 0;
  #replacedAt = Number.NEGATIVE_INFINITY;
  #replacing = false;
  #broken = false;
  readonly #counts = { evaluations: 0, throws: 0, replaced: 0, invalid: 0 };

  /** Use `openEngine`, which has checked the bundle. */
  constructor(bundle: Bundle, module: WebAssembly.Module, options: EngineOptions) {
    this.bundle = bundle;
    this.#module = module;
    this.#write = inputWriter(bundle.manifest.input_paths);
    this.#now = options.now ?? (() => performance.now());
    this.#onReplaced = options.onReplaced;
    this.#instance = this.#create();
  }

  get revision(): string {
    return this.bundle.revision;
  }

  get counts(): EngineCounts {
    return { ...this.#counts };
  }

  /**
   * The decision on one act. Throws `engine_error` when the policy could not be evaluated, and `policy_invalid_decision` when what
   * it answered is not exactly a decision; both mean that nothing may be sent.
   */
  decide(input: PolicyInput): Decision {
    const json = this.#write(input);
    let answer: unknown;
    try {
      answer = this.#instance.evaluate(json);
    } catch (error) {
      throw this.#threw(error);
    }
    this.#counts.evaluations++;
    const fault = answer === undefined ? 'there is no answer' : decisionFault(answer);
    if (fault !== undefined) {
      this.#counts.invalid++;
      throw new SallyportError('policy_invalid_decision', `Policy gave an answer that is not a decision: ${fault}.`);
    }
    return inOrder(answer as Decision);
  }

  #create(): PolicyInstance {
    const { manifest, data, golden } = this.bundle;
    const instance = createInstance(this.#module, data, manifest.entrypoint);
    const texts = goldenInputs(golden).map(this.#write);
    for (let i = 0; i < warmUpEvaluations; i++) instance.evaluate(texts[i % texts.length]!);
    return instance;
  }

  #threw(error: unknown): SallyportError {
    // opa-wasm's abort throws a string, a trap an Error, a missing builtin an object.
    const reason = error instanceof Error ? error.message : typeof error === 'string' ? error : JSON.stringify(error);
    this.#counts.throws++;
    this.#throwsOfInstance++;
    const due = this.#now() - this.#replacedAt >= replaceEveryMs;
    if (this.#throwsOfInstance >= mostThrows && (due || !this.#broken)) this.#replace(reason);
    else if (due && !this.#replacing) {
      this.#replacing = true;
      setImmediate(() => this.#replace(reason));
    }
    return new SallyportError('engine_error', `Policy could not be evaluated: ${reason}.`, { cause: error });
  }

  #replace(reason: string): void {
    this.#replacing = false;
    // Already replaced, because the bound was reached before this turn of the event loop.
    if (this.#throwsOfInstance === 0) return;
    const throws = this.#throwsOfInstance;
    this.#replacedAt = this.#now();
    try {
      this.#instance = this.#create();
    } catch (error) {
      // Fails closed; tried again by a later evaluation, at most once a second.
      this.#broken = true;
      this.#instance = brokenInstance(error);
      return;
    }
    this.#broken = false;
    this.#throwsOfInstance = 0;
    this.#counts.replaced++;
    this.#onReplaced?.({ throws, reason });
  }
}

function brokenInstance(cause: unknown): PolicyInstance {
  return {
    evaluate() {
      throw new Error(`no instance could be made: ${cause instanceof Error ? cause.message : String(cause)}`);
    },
  };
}

/**
 * Compiles the bundle, holds it against its golden cases on the WASM itself (with their own data), loads its data and warms it up.
 * Throws `policy_folder` when any of it fails: such a bundle is never used.
 */
export async function openEngine(bundle: Bundle, options: EngineOptions = {}): Promise<Engine> {
  const { manifest, golden } = bundle;
  try {
    const module = await WebAssembly.compile(bundle.wasm);
    const trial = new Engine({ ...bundle, data: JSON.stringify(golden.data) }, module, {});
    const faults = goldenInputs(golden).map((input, i) => goldenFault(golden.cases[i]!, trial.decide(input))).filter((fault) => fault !== undefined);
    if (faults.length > 0) throw new Error(`golden cases answer otherwise: ${faults.slice(0, 5).join('; ')}`);
    return new Engine(bundle, module, options);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SallyportError('policy_folder', `The policy bundle (${manifest.compiler}, revision ${bundle.revision.slice(0, 12)}) cannot be used: ${reason.replace(/\.$/, '')}.`, { cause });
  }
}
