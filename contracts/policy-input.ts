import { SallyportError } from './errors.ts';
import { suffixes } from './host.ts';
import type { Balance, Meter } from './budget.ts';
import type { JsonValue } from './json.ts';
import type { AllowEntry, RunPolicy } from './run-policy.ts';
import type { RunState } from './run.ts';

/** What policy decides on (glossary: act). */
export type Act = 'connect' | 'request' | 'dial' | 'response' | 'capability' | 'reveal' | 'message' | 'schedule' | 'budget' | 'secret';
export type Purpose = 'agent' | 'http_fetch' | 'resource' | 'skill' | 'connector' | 'delivery' | 'model';

/** An entry of the run's own list whose host matches the destination. */
export type MatchedAllow = AllowEntry;

export interface GrantInput {
  readonly id: string;
  readonly rule: string;
  readonly scope: 'request' | 'host' | 'run' | 'session';
  readonly expires_ms: number;
}

/**
 * The document that policy sees (policies/schemas/input.json). Every key is always present, null when unknown, numbers are
 * integers; it holds no secret and no body, and all that is not a function of the act is in it, so a recorded one replays exactly.
 */
export interface PolicyInput {
  readonly v: 1;
  readonly act: Act;
  readonly purpose: Purpose;
  readonly run: {
    readonly id: string;
    readonly session_id: string;
    readonly agent: string;
    readonly state: RunState;
    readonly packs: readonly string[];
    readonly labels: Readonly<Record<string, string>>;
    readonly taint: string | null;
    readonly mode: 'enforce' | 'observe';
    readonly params: Readonly<Record<string, Readonly<Record<string, JsonValue>>>>;
    readonly allow: readonly MatchedAllow[];
    readonly allow_addresses: readonly string[];
  };
  readonly step: { readonly id: string | null };
  readonly destination: {
    readonly host: string;
    /** The host itself, then each parent domain, most specific first; an IP literal has only itself. */
    readonly suffixes: readonly string[];
    readonly registrable: string | null;
    readonly port: number;
    readonly scheme: 'http' | 'https' | null;
    readonly address: string | null;
    /** `public`, or why it is not (`private`, `metadata`, `self`, ...). */
    readonly address_class: string | null;
    readonly is_ip_literal: boolean;
    readonly lists: readonly string[];
  };
  readonly request: {
    readonly method: string | null;
    /** Canonical, without query. */
    readonly path: string | null;
    readonly segments: readonly string[];
    readonly query_keys: readonly string[];
    readonly headers: Readonly<Record<string, string>>;
    readonly content_type: string | null;
    readonly body_bytes: number | null;
    readonly body_sha256: string | null;
  };
  readonly tls: { readonly sni: string | null; readonly intercepted: boolean };
  readonly capability: { readonly id: string | null; readonly input_digest: string | null; readonly effects: readonly string[] };
  readonly message: { readonly channel: string | null; readonly label: string | null };
  readonly signals: {
    readonly secret_kinds: readonly string[];
    /** `none`, `placeholder:<name>`, or `foreign`: the request carries a key that is not ours. */
    readonly credential: string;
    readonly host_mismatch: boolean;
    readonly first_seen_host: boolean;
  };
  readonly budget: Readonly<Partial<Record<Meter, Balance>>>;
  readonly grants: readonly GrantInput[];
  readonly time: { readonly now_ms: number; readonly hour_utc: number; /** 0 is Sunday. */ readonly weekday: number };
}

/** What `buildPolicyInput` is given; what is left out is unknown. */
export interface PolicyInputParts {
  readonly act: Act;
  readonly purpose?: Purpose;
  readonly run: {
    readonly id: string;
    readonly session_id: string;
    readonly agent: string;
    readonly state: RunState;
    readonly labels: Readonly<Record<string, string>>;
    readonly taint: string | null;
    readonly policy: RunPolicy;
  };
  readonly step_id?: string;
  readonly destination: {
    /** Canonical host. */
    readonly host: string;
    readonly is_ip_literal: boolean;
    readonly port: number;
    readonly scheme?: 'http' | 'https';
    readonly address?: string;
    readonly address_class?: string;
  };
  readonly request?: {
    readonly method: string;
    /** Canonical path without query. */
    readonly path: string;
    readonly query_keys?: Iterable<string>;
    /** Names in any case, in order; those not in `inputHeaders` are dropped here. */
    readonly headers?: Iterable<readonly [name: string, value: string]>;
    readonly body_bytes?: number;
    readonly body_sha256?: string;
  };
  readonly tls?: { readonly sni?: string; readonly intercepted: boolean };
  readonly signals?: Partial<PolicyInput['signals']>;
  readonly budget?: PolicyInput['budget'];
  /** Those that are for this destination and have not expired. */
  readonly grants?: readonly GrantInput[];
  readonly now_ms: number;
}

/** Bounds of the input; what exceeds one is refused as `not_supported`, never cut (a rule would not see the rest), except where said. */
export const policyInputLimits = {
  segments: 64, query_keys: 64, path: 8192, query_key: 256, grants: 64,
  /** Further matching entries are left out: fewer entries allow less. */
  allow: 16,
  /** The host and its shortest parents; a rule on a parent of more labels than this does not see it. */
  suffixes: 32,
  /** Values are cut here. */
  header_value: 512,
} as const;

/** The only header names that reach policy: an agent that could choose keys could flood the evaluator's hash (2,000 names: 50 ms). */
const inputHeaders: ReadonlySet<string> = new Set([
  'accept', 'content-encoding', 'git-protocol', 'if-match', 'if-none-match', 'origin', 'range', 'user-agent', 'x-http-method-override',
]);

const none: readonly never[] = [];

/** The host and each parent, at most 32: the host itself and its shortest parents. */
function suffixesOf(host: string, isIpLiteral: boolean): readonly string[] {
  if (isIpLiteral) return [host];
  const all = suffixes(host);
  const surplus = all.length - policyInputLimits.suffixes;
  return surplus > 0 ? all.toSpliced(1, surplus) : all;
}

/** The run's entries for this host, exact names first, then suffixes from the longest; at most 16. */
export function matchAllow(host: string, isIpLiteral: boolean, allow: readonly AllowEntry[]): readonly MatchedAllow[] {
  const matching: AllowEntry[] = [];
  for (const entry of allow) {
    const below = entry.host.startsWith('*.');
    if (below ? !isIpLiteral && host.endsWith(entry.host.slice(1)) && host.length >= entry.host.length : entry.host === host) matching.push(entry);
  }
  if (matching.length > 1) {
    const rank = (entry: AllowEntry): number => (entry.host.startsWith('*.') ? entry.host.length : Number.MAX_SAFE_INTEGER);
    matching.sort((a, b) => rank(b) - rank(a));
  }
  return matching.slice(0, policyInputLimits.allow).map(({ id, host: named, ports, methods, path_prefix }) => ({ id, host: named, ports, methods, path_prefix }));
}

function tooMuch(what: string, bound: number): SallyportError {
  return new SallyportError('not_supported', `The request has ${what} than the ${bound} that policy can look at.`);
}

function segmentsOf(path: string): readonly string[] {
  if (path.length > policyInputLimits.path) throw tooMuch('a longer path', policyInputLimits.path);
  if (path === '/') return none;
  const segments = path.slice(1).toWellFormed().split('/');
  if (segments.length > policyInputLimits.segments) throw tooMuch('more path segments', policyInputLimits.segments);
  return segments;
}

function queryKeysOf(keys: Iterable<string>): readonly string[] {
  const seen = new Set<string>();
  for (const key of keys) {
    if (key.length > policyInputLimits.query_key) throw tooMuch('a longer query key', policyInputLimits.query_key);
    seen.add(key.toWellFormed());
    if (seen.size > policyInputLimits.query_keys) throw tooMuch('more query keys', policyInputLimits.query_keys);
  }
  return [...seen];
}

function headersOf(headers: Iterable<readonly [string, string]>): { readonly kept: Readonly<Record<string, string>>; readonly contentType: string | null } {
  const kept: Record<string, string> = {};
  let contentType: string | null = null;
  for (const [anyCase, value] of headers) {
    const name = anyCase.toLowerCase();
    if (name === 'content-type') contentType ??= value.slice(0, policyInputLimits.header_value).toWellFormed();
    else if (inputHeaders.has(name)) kept[name] = (kept[name] === undefined ? value : `${kept[name]}, ${value}`).slice(0, policyInputLimits.header_value).toWellFormed();
  }
  return { kept, contentType };
}

const noHeaders: ReturnType<typeof headersOf> = { kept: {}, contentType: null };

const hourMs = 3_600_000;

/** Pure, with keys in a fixed order. Throws `not_supported` for what exceeds a bound. */
export function buildPolicyInput(parts: PolicyInputParts): PolicyInput {
  const { run, destination, request, tls, signals, now_ms } = parts;
  const { policy } = run;
  const { kept, contentType } = request?.headers === undefined ? noHeaders : headersOf(request.headers);
  if (parts.grants !== undefined && parts.grants.length > policyInputLimits.grants) throw tooMuch('more grants', policyInputLimits.grants);
  return {
    v: 1,
    act: parts.act,
    purpose: parts.purpose ?? 'agent',
    run: {
      id: run.id,
      session_id: run.session_id,
      agent: run.agent.toWellFormed(),
      state: run.state,
      packs: policy.packs,
      labels: run.labels,
      taint: run.taint,
      mode: policy.mode,
      params: policy.params,
      allow: matchAllow(destination.host, destination.is_ip_literal, policy.allow),
      allow_addresses: policy.allow_addresses,
    },
    step: { id: parts.step_id ?? null },
    destination: {
      host: destination.host,
      suffixes: suffixesOf(destination.host, destination.is_ip_literal),
      registrable: null,
      port: destination.port,
      scheme: destination.scheme ?? null,
      address: destination.address ?? null,
      address_class: destination.address_class ?? null,
      is_ip_literal: destination.is_ip_literal,
      lists: none,
    },
    request: {
      method: request?.method ?? null,
      path: request?.path.toWellFormed() ?? null,
      segments: request === undefined ? none : segmentsOf(request.path),
      query_keys: request?.query_keys === undefined ? none : queryKeysOf(request.query_keys),
      headers: kept,
      content_type: contentType,
      body_bytes: request?.body_bytes ?? null,
      body_sha256: request?.body_sha256 ?? null,
    },
    tls: { sni: tls?.sni?.toWellFormed() ?? null, intercepted: tls?.intercepted ?? false },
    capability: { id: null, input_digest: null, effects: none },
    message: { channel: null, label: null },
    signals: {
      secret_kinds: signals?.secret_kinds ?? none,
      credential: signals?.credential ?? 'none',
      host_mismatch: signals?.host_mismatch ?? false,
      first_seen_host: signals?.first_seen_host ?? false,
    },
    budget: parts.budget ?? {},
    grants: parts.grants ?? none,
    time: { now_ms, hour_utc: Math.floor(now_ms / hourMs) % 24, weekday: (Math.floor(now_ms / (24 * hourMs)) + 4) % 7 },
  };
}
