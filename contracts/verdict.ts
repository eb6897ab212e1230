import { isIP } from 'node:net';
import type { Decision, Reason } from './decision.ts';
import type { ErrorCode } from './errors.ts';
import { formatAuthority } from './host.ts';
import { speaksOf, type RunPolicy } from './run-policy.ts';

/** What was judged, as far as the words for it go. */
export interface Judged {
  readonly act: 'connect' | 'request';
  /** Of a request; of what would go through a tunnel, as far as somebody knows. */
  readonly scheme: 'http' | 'https' | undefined;
  readonly host: string;
  readonly port: number;
  readonly method: string;
  /** Canonical, without query; undefined for a tunnel. */
  readonly path: string | undefined;
}

/** What a decision against an act is called, in the proxy's refusal and in the answer of `GET /chat/why` alike. */
export interface Verdict {
  readonly effect: Exclude<Decision['effect'], 'allow'>;
  readonly code: Extract<ErrorCode, 'policy_denied' | 'approval_required'> | `core.${string}`;
  readonly detail: string;
  /** Empty where the catalogue's own next step of the code says it. */
  readonly next_steps: readonly string[];
}

/** Of several rules of `core` that deny, the first of these names the refusal. */
const coreOrder: readonly string[] = ['core.metadata_address', 'core.self_address', 'core.host_mismatch', 'core.non_public_address'];
const defaultDeny = 'core.default_deny';

interface About {
  /** Of the run. */
  readonly policy: Pick<RunPolicy, 'intercept' | 'allow'>;
  /** What was judged where it is about an address that the host does not say itself. */
  readonly address?: string | undefined;
}

export function verdictOf(decision: Decision, judged: Judged, about: About): Verdict {
  const { reasons } = decision;
  if (decision.effect === 'require_approval') {
    const asking = reasons.find(({ effect, visible_to_agent }) => effect === 'require_approval' && visible_to_agent);
    return { effect: 'require_approval', code: 'approval_required', detail: sentence(asking), next_steps: [] };
  }
  const denying = reasons.filter(({ effect }) => effect === 'deny');
  const core = denying.filter(({ pack, rule }) => pack === 'core' && rule !== defaultDeny).sort((a, b) => rank(a) - rank(b))[0];
  if (core !== undefined) return { effect: 'deny', code: core.rule as `core.${string}`, detail: sentence(core), next_steps: stepsFor(core.rule, judged, about) };
  return {
    effect: 'deny', code: 'policy_denied',
    detail: denying.length === 0 ? 'Nothing allows this.' : sentence(denying.find(({ visible_to_agent }) => visible_to_agent)),
    next_steps: decision.default ? [`Ask the operator to allow it: ${allowOptions(judged, about)}. Another route will be refused as well.`] : [],
  };
}

/** To a shell (POSIX, 2.2). */
const oneWord = /^[\w.,:/@%+=~-]+$/;

/** The options that would allow exactly this. What goes through a tunnel is judged where somebody can look at it, or is not looked at. */
function allowOptions({ act, host, port, method, path }: Judged, { policy }: About): string {
  const allow = `--allow ${formatAuthority(host, port)}`;
  // Whoever has allowed some paths of a host is not to be led to allow all. A path is the agent's, and an operator may paste it into a shell.
  const narrow = policy.allow.some((entry) => entry.path_prefix !== null && speaksOf(entry, host));
  if (act === 'request') return `${allow}:${method}${narrow && path !== undefined && path.length <= longestPath && oneWord.test(path) ? `:${path}` : ''}`;
  const judgedInside = policy.intercept ? allow : port === 443 ? `--intercept and ${allow}` : `${allow} (and --intercept where it is TLS)`;
  return `${judgedInside}, or ${allow}:TUNNEL to let its bytes through unseen`;
}

/** What helps where policy allows a host, but only if somebody can look into TLS. */
export function interceptStep({ host, port }: Pick<Judged, 'host' | 'port'>): string {
  return `Ask the operator to look into TLS (--intercept), or to let the bytes of this tunnel through unseen: --allow ${formatAuthority(host, port)}:TUNNEL.`;
}

/** Longer paths are left out of a link. */
const longestPath = 200;

/** The address of an act, without its query: values there may be secrets. */
export function addressOf({ act, scheme = act === 'connect' ? 'https' : 'http', host, port, path }: Judged): string {
  return `${scheme}://${formatAuthority(host, port, scheme === 'https' ? 443 : 80)}${path === undefined || path.length > longestPath ? '/' : path}`;
}

/** Where an agent hears what would be allowed instead. */
export function whyStep(judged: Judged): string {
  const method = judged.act === 'connect' || judged.method === 'GET' ? '' : `&method=${encodeURIComponent(judged.method)}`;
  return `Ask http://sallyport.internal/chat/why?url=${encodeURIComponent(addressOf(judged).toWellFormed())}${method} for what would be allowed.`;
}

function stepsFor(rule: string, judged: Judged, about: About): readonly string[] {
  const range = about.address ?? (isIP(judged.host) === 0 ? undefined : judged.host);
  switch (rule) {
    case 'core.non_public_address': return [`Ask the operator to allow its range${range === undefined ? '' : `: --allow-address ${range}`}.`];
    case 'core.delegated_address': return [`Ask the operator to allow exactly this host: ${allowOptions(judged, about)}.`];
    case 'core.host_mismatch': return ['Name the same host and port in the target and in the Host field.'];
    default: return ['Nothing can allow this; leave it.'];
  }
}

function rank({ rule }: Reason): number {
  const index = coreOrder.indexOf(rule);
  return index === -1 ? coreOrder.length : index;
}

function sentence(reason: Reason | undefined): string {
  if (reason === undefined || reason.message === '') return 'Policy denies this.';
  const { message } = reason;
  return `${message[0]!.toUpperCase()}${message.slice(1)}${/[.!?]$/.test(message) ? '' : '.'}`;
}
