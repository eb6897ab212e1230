import { isDeepStrictEqual } from 'node:util';
import type { Decision } from '../../contracts/decision.ts';
import { sha256Hex } from '../../contracts/digest.ts';
import type { PolicyInput } from '../../contracts/policy-input.ts';
import type { Engine } from '../../engine/engine.ts';
import { inputWriter } from '../../engine/input-text.ts';

export interface Remembered {
  readonly decision: Decision;
  /** SHA-256 of the bytes that the engine was given: the paths that this revision reads. */
  readonly input_digest: string;
}

const entriesMax = 4096;
/** UTF-16 units of all keys together. */
const keysMax = 8 * 1024 * 1024;
/** One hit in so many is evaluated all the same. */
const checkedEvery = 100;

/**
 * Decisions by what the policy reads of their input, compared whole. Exact by construction: a decision is a function of the input
 * (no builtin has a clock or chance), and the compiler knows every path that is read. Should a look ever show otherwise, the memo
 * is off for good.
 */
export class DecisionMemo {
  readonly #engine: Engine;
  readonly #write: (input: PolicyInput) => string;
  readonly #onMismatch: () => void;
  readonly #known = new Map<string, Remembered>();
  #keyUnits = 0;
  #hits = 0;
  #off = false;

  constructor(engine: Engine, onMismatch: () => void) {
    this.#engine = engine;
    this.#write = inputWriter(engine.bundle.manifest.input_paths);
    this.#onMismatch = onMismatch;
  }

  /** Throws what the engine throws; nothing of that is remembered. */
  decide(input: PolicyInput): Remembered {
    const text = this.#write(input);
    const known = this.#known.get(text);
    if (known === undefined) return this.#evaluate(input, text);
    if (++this.#hits % checkedEvery === 0 && !isDeepStrictEqual(this.#engine.decide(input), known.decision)) {
      this.#off = true;
      this.#known.clear();
      this.#onMismatch();
      return this.#evaluate(input, text);
    }
    return known;
  }

  #evaluate(input: PolicyInput, text: string): Remembered {
    const remembered: Remembered = { decision: this.#engine.decide(input), input_digest: sha256Hex(text) };
    if (this.#off) return remembered;
    this.#known.set(text, remembered);
    this.#keyUnits += text.length;
    while (this.#known.size > entriesMax || this.#keyUnits > keysMax) {
      const oldest = this.#known.keys().next().value!;
      this.#known.delete(oldest);
      this.#keyUnits -= oldest.length;
    }
    return remembered;
  }
}
