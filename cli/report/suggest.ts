import { isIP } from 'node:net';
import { bracketed } from '../allow-option.ts';
import { speaksOf, type RunPolicy } from '../../contracts/run-policy.ts';
import type { Exchange } from './egress.ts';

/** Meters by the names that `--budget` takes. */
const budgetNames: Readonly<Record<string, string>> = { requests: 'requests', bytes_out: 'bytes_out', bytes_in: 'bytes_in', wall_clock_ms: 'wall_clock' };

/** What would allow this, as it is typed; `undefined` when no flag can. */
export function flagFor(exchange: Exchange, policy: RunPolicy): string | undefined {
  if (exchange.host === '') return undefined;
  const place = `${bracketed(exchange.host)}:${exchange.port}`;
  switch (wouldBeCode(exchange)) {
    case 'needs_interception': return exchange.act === 'connect' ? `--intercept, or --allow ${place}:TUNNEL` : undefined;
    case 'interception_failed': return `--allow ${place}:TUNNEL, if the client cannot be made to trust sallyport ca export`;
    case 'policy_denied': {
      // A rule that forbids stays, whatever the run allows.
      if (!exchange.byDefault) return undefined;
      if (exchange.act === 'connect') return tunnelFlags(exchange, place, policy);
      return `--allow ${oneWord(`${place}:${exchange.method}${withPath(exchange, policy) ? `:${exchange.path}` : ''}`)}`;
    }
    case 'core.non_public_address': {
      const address = exchange.address ?? (isIP(exchange.host) === 0 ? null : exchange.host);
      return address === null ? undefined : `--allow-address ${address}`;
    }
    case 'core.delegated_address': return exchange.act === 'connect' ? tunnelFlags(exchange, place, policy) : `--allow ${oneWord(`${place}:${exchange.method}`)}`;
    case 'budget_exhausted': {
      const name = budgetNames[exchange.meter ?? ''];
      return name === undefined ? undefined : `a larger --budget ${name}=...`;
    }
    default: return undefined;
  }
}

/** Plain HTTP inside a CONNECT is judged request by request in any case; what is on 443 is TLS. */
function tunnelFlags({ port }: Exchange, place: string, { intercept }: RunPolicy): string {
  if (intercept || port !== 443) return `--allow ${place}`;
  return `--intercept --allow ${place}, or --allow ${place}:TUNNEL`;
}

/** What was let through to be observed would have been refused by default, or for want of an allowed tunnel. */
function wouldBeCode({ code, observed, byDefault }: Exchange): string | null {
  return observed !== 'deny' ? code : byDefault ? 'policy_denied' : 'needs_interception';
}

/** Whoever has allowed some paths of a host is not led to allow all of them. */
function withPath({ host, path }: Exchange, { allow }: RunPolicy): boolean {
  return path !== '' && allow.some((entry) => entry.path_prefix !== null && speaksOf(entry, host));
}

/** The path is the agent's, and what is suggested is pasted into a shell: there it must be one word and nothing else (POSIX, 2.2.2). */
function oneWord(text: string): string {
  return /^[\w.,:/@%+=~[\]-]*$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
