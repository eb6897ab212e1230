import type { Amounts } from '../contracts/budget.ts';
import type { JsonValue } from '../contracts/json.ts';
import type { Channel } from '../contracts/run.ts';
import { interceptsByDefault, type RunPolicy } from '../contracts/run-policy.ts';
import { runPolicyLimits } from '../contracts/run-policy-limits.ts';
import { parseRange, parseResolve } from './address-options.ts';
import { bracketed, parseAllow, type AllowRule } from './allow-option.ts';
import { parseBudget, type Parsed } from './budget-option.ts';

/** POLICY OPTIONS of `run` and `runs create`, as they were typed. */
export interface PolicyFlags {
  readonly allow?: readonly string[];
  readonly allowAddress?: readonly string[];
  readonly resolve?: readonly string[];
  readonly pack?: readonly string[];
  readonly param?: readonly string[];
  readonly budget?: readonly string[];
  readonly intercept?: boolean;
  readonly observe?: boolean;
}

export type PolicyOptions =
  | { readonly ok: true; readonly policy: RunPolicy; readonly budget: Amounts }
  /** One sentence for each mistake. `not_supported` when all that is wrong is that something isn't there yet. */
  | { readonly ok: false; readonly code: 'usage' | 'not_supported'; readonly sentences: readonly string[] };

/** Reads all of them and reports every mistake, not just the first. What is not said is as the run's channel has it. */
export function readPolicyOptions(flags: PolicyFlags, channel: Channel): PolicyOptions {
  const intercept = flags.intercept ?? interceptsByDefault(channel);
  const wrong: string[] = [];
  const missing: string[] = [];
  const each = <T>(flag: string, texts: readonly string[] | undefined, most: number, parse: (text: string) => Parsed<T>): T[] => {
    if ((texts?.length ?? 0) > most) wrong.push(`${flag} is given more than ${most} times.`);
    return (texts ?? []).flatMap((text) => {
      const parsed = parse(text);
      if (!('mistake' in parsed)) return [parsed.value];
      wrong.push(`${flag} ${text}: ${parsed.mistake}.`);
      return [];
    });
  };

  const allow = each('--allow', flags.allow, runPolicyLimits.allow, (text) => allowedIf(intercept, text)).map((rule, index) => ({ id: `allow-${index}`, ...rule }));
  const ranges = each('--allow-address', flags.allowAddress, runPolicyLimits.allow_addresses, parseRange);
  const resolve = each('--resolve', flags.resolve, runPolicyLimits.resolve, parseResolve);
  const packs = each('--pack', flags.pack, runPolicyLimits.packs, parsePack);
  const params: Record<string, Record<string, JsonValue>> = {};
  for (const { pack, key, value } of each('--param', flags.param, runPolicyLimits.params, parseParameter)) {
    const own = params[pack] ??= {};
    if (Object.hasOwn(own, key)) wrong.push(`--param ${pack}.${key} is given twice.`);
    own[key] = value;
  }
  const { budget, mistakes } = parseBudget(flags.budget ?? []);
  for (const { text, mistake } of mistakes) wrong.push(`--budget ${text}: ${mistake}.`);

  for (const name of budget.unenforced) missing.push(`--budget ${name}: nothing enforces this meter yet, so a limit on it would hold nobody.`);
  if (wrong.length > 0) return { ok: false, code: 'usage', sentences: [...wrong, ...missing] };
  if (missing.length > 0) return { ok: false, code: 'not_supported', sentences: missing };
  return {
    ok: true,
    policy: { packs: [...new Set(packs)], allow, allow_addresses: [...new Set(ranges)], resolve, params, mode: flags.observe === true ? 'observe' : 'enforce', intercept },
    budget: budget.amounts,
  };
}

/** A rule that could never allow anything is a mistake: somebody takes it for a way that is open. */
function allowedIf(intercept: boolean, text: string): Parsed<AllowRule> {
  const parsed = parseAllow(text);
  if ('mistake' in parsed) return parsed;
  const { rule, inside } = parsed.value;
  if (intercept || inside === undefined) return { value: rule };
  return { mistake: `${inside} cannot be judged on port 443, which is TLS, unless it is looked into: give --intercept, or write ${bracketed(rule.host)}:443:TUNNEL to let its bytes through unseen` };
}

const packName = /^[a-z][a-z0-9_]{0,39}$/;

function parsePack(text: string): Parsed<string> {
  return packName.test(text) ? { value: text } : { mistake: 'a pack\'s name is lower case letters, digits and _' };
}

interface Parameter {
  readonly pack: string;
  readonly key: string;
  readonly value: JsonValue;
}

/** `NAME.KEY=VALUE`; VALUE is JSON where it reads as such (`3`, `true`, `["a"]`), text otherwise. */
function parseParameter(text: string): Parsed<Parameter> {
  const match = /^([^.=]*)\.([^=]*)=(.*)$/s.exec(text);
  if (match === null) return { mistake: 'it is not NAME.KEY=VALUE' };
  const [, pack = '', key = '', value = ''] = match;
  if (!packName.test(pack)) return { mistake: `"${pack}" is not a pack's name` };
  if (!/^[A-Za-z][A-Za-z0-9_]{0,63}$/.test(key)) return { mistake: `"${key}" is not a parameter's name` };
  return { value: { pack, key, value: asJson(value) } };
}

function asJson(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}
