import { z } from 'zod';
import type { Decision } from '../contracts/decision.ts';
import { jsonObjectSchema, type JsonObject, type JsonValue } from '../contracts/json.ts';
import type { PolicyInput } from '../contracts/policy-input.ts';

/**
 * A golden case, written by hand: no command makes or changes one. `input` is laid over the suite's base input (objects merge,
 * everything else replaces); the rest is the decision, with reasons as `<effect> <rule>` and obligations as `<type> <rule>`,
 * both in order of their text.
 */
export const goldenCaseSchema = z.strictObject({
  name: z.string().min(1),
  input: jsonObjectSchema,
  effect: z.enum(['allow', 'deny', 'require_approval']),
  default: z.boolean().default(false),
  reasons: z.array(z.string()).min(1),
  obligations: z.array(z.string()).default([]),
  approval: z.strictObject({ scope: z.string(), ttl_seconds: z.int(), max_uses: z.int(), votes: z.int() }).nullable().default(null),
});
export type GoldenCase = z.infer<typeof goldenCaseSchema>;

/** `data` stands in for the packs' data, so that everyday changes to it change no golden answer. */
export const goldenSuiteSchema = z.strictObject({ base: jsonObjectSchema, data: jsonObjectSchema, cases: z.array(goldenCaseSchema).min(1).max(10_000) });
export type GoldenSuite = z.infer<typeof goldenSuiteSchema>;

const isObject = (value: JsonValue | undefined): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

function lay(over: JsonObject, base: JsonObject): JsonObject {
  const merged: Record<string, JsonValue> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    // An empty object replaces: `{}` would otherwise say nothing.
    merged[key] = isObject(value) && isObject(below) && Object.keys(value).length > 0 ? lay(value, below) : value;
  }
  return merged;
}

/** The whole input of each case, in order. */
export function goldenInputs(suite: GoldenSuite): readonly PolicyInput[] {
  return suite.cases.map((golden) => lay(golden.input, suite.base) as unknown as PolicyInput);
}

/** Where the decision differs from the hand-written answer, for a person; undefined when it does not. */
export function goldenFault(golden: GoldenCase, decision: Decision): string | undefined {
  const actual = {
    effect: decision.effect,
    default: decision.default,
    reasons: decision.reasons.map((reason) => `${reason.effect} ${reason.rule}`).sort(),
    obligations: decision.obligations.map((obligation) => `${obligation.type} ${obligation.rule}`).sort(),
    approval: decision.approval,
  };
  for (const key of ['effect', 'default', 'reasons', 'obligations', 'approval'] as const) {
    const [wanted, got] = [JSON.stringify(golden[key]), JSON.stringify(actual[key])];
    if (wanted !== got) return `"${golden.name}": ${key} is ${got}, written is ${wanted}`;
  }
  return undefined;
}
