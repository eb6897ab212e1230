import { isDeepStrictEqual } from 'node:util';
import type { RunSnapshot } from '../../contracts/data-plane.ts';
import { sha256Hex } from '../../contracts/digest.ts';
import type { PolicyInput } from '../../contracts/policy-input.ts';
import type { Engine } from '../../engine/engine.ts';
import { inputWriter } from '../../engine/input-text.ts';
import type { Judgement } from '../record/egress-events.ts';
import { isNamedByKey, type Question } from './question.ts';
import { Remembered } from '../remembered.ts';

/** One hit in so many is evaluated all the same. */
const checkedEvery = 100;

/**
 * Decisions by what the policy reads of their input, compared whole. Exact by construction: a decision is a function of the input
 * (no builtin has a clock or chance), and the compiler knows every path that is read. Should a look ever show otherwise, the memo
 * is off for good.
 *
 * Two levels. A question whose short key was seen before needs no input at all (0.3 us); one with a new key is still answered without an
 * evaluation where another had the same input as far as it is read (5 us instead of 16).
 */
export class DecisionMemo {
  readonly #engine: Engine;
  readonly #write: (input: PolicyInput) => string;
  readonly #onMismatch: () => void;
  readonly #namedByKey: boolean;
  readonly #byKey = new Remembered<Judgement>();
  readonly #byInput = new Remembered<Judgement>();
  /** Each snapshot that asked has a number, by which it is named in keys. */
  readonly #numbers = new WeakMap<RunSnapshot, number>();
  #numbered = 0;
  #hits = 0;
  #off = false;

  constructor(engine: Engine, onMismatch: () => void) {
    const { input_paths } = engine.bundle.manifest;
    this.#engine = engine;
    this.#write = inputWriter(input_paths);
    this.#namedByKey = isNamedByKey(input_paths);
    this.#onMismatch = onMismatch;
  }

  /** Throws what the engine throws; nothing of that is remembered. */
  decide(question: Question): Judgement {
    if (this.#off || !this.#namedByKey) return this.#decideByInput(question.input());
    const key = `${this.#numberOf(question.snapshot)} ${question.key}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) return this.#isDue() ? this.#checked(known, question.input()) : known;
    const judgement = this.#decideByInput(question.input());
    if (!this.#off) this.#byKey.set(key, judgement);
    return judgement;
  }

  #decideByInput(input: PolicyInput): Judgement {
    const text = this.#write(input);
    const known = this.#byInput.get(text);
    if (known !== undefined) return this.#isDue() ? this.#checked(known, input) : known;
    const judgement: Judgement = { decision: this.#engine.decide(input), input_digest: sha256Hex(text), revision: this.#engine.revision };
    if (!this.#off) this.#byInput.set(text, judgement);
    return judgement;
  }

  #isDue(): boolean {
    return ++this.#hits % checkedEvery === 0;
  }

  /** A fresh look at what is remembered. */
  #checked(known: Judgement, input: PolicyInput): Judgement {
    if (isDeepStrictEqual(this.#engine.decide(input), known.decision)) return known;
    this.#off = true;
    this.#byKey.clear();
    this.#byInput.clear();
    this.#onMismatch();
    return this.#decideByInput(input);
  }

  #numberOf(snapshot: RunSnapshot): number {
    const known = this.#numbers.get(snapshot);
    if (known !== undefined) return known;
    this.#numbers.set(snapshot, ++this.#numbered);
    return this.#numbered;
  }
}
