import { isIP } from 'node:net';
import { SallyportError } from '../../contracts/errors.ts';
import type { PermittedAddress } from '../enforce/permit.ts';
import type { Via } from '../enforce/upstream-proxies.ts';

/** One connection that may be tried. */
export interface Attempt {
  /** What was permitted; recorded. */
  readonly address: string;
  /** Where the socket goes: there, or to the upstream proxy `via`. */
  readonly connect_to: { readonly host: string; readonly port: number };
  readonly via: Via | undefined;
}

/** One family after the other, beginning with IPv6 where there is one; within a family in the order given (RFC 8305, section 4). */
export function interleave(addresses: readonly PermittedAddress[]): readonly PermittedAddress[] {
  const v6 = addresses.filter(({ family }) => family === 6);
  const v4 = addresses.filter(({ family }) => family === 4);
  if (v6.length === 0 || v4.length === 0) return addresses;
  const mixed: PermittedAddress[] = [];
  for (let index = 0; index < Math.max(v6.length, v4.length); index++) {
    const [one, other] = [v6[index], v4[index]];
    if (one !== undefined) mixed.push(one);
    if (other !== undefined) mixed.push(other);
  }
  return mixed;
}

/** What to try, in order, at most `most`. Throws `internal` for what must not be dialled: a name would be resolved behind the back of the decision. */
export function attemptsOf({ addresses, host, port }: { readonly addresses: readonly PermittedAddress[]; readonly host: string; readonly port: number }, most: number): readonly Attempt[] {
  const attempts: { readonly rank: number; readonly attempt: Attempt }[] = [];
  for (const [index, { address, via }] of interleave(addresses).entries()) {
    if (isIP(address) === 0 && !(via?.resolves === true && address === host)) throw new SallyportError('internal', 'A permit names something that is not an address.');
    // Each address of an upstream proxy is a way to each of ours: neither shall use up all attempts.
    const ways = via === undefined ? [{ host: address, port }] : via.addresses.map((proxy) => ({ host: proxy, port: via.port }));
    for (const [way, connect_to] of ways.entries()) {
      if (isIP(connect_to.host) === 0) throw new SallyportError('internal', 'An upstream proxy is not at an address.');
      attempts.push({ rank: index + way, attempt: { address, connect_to, via } });
    }
  }
  if (attempts.length === 0) throw new SallyportError('internal', 'A permit without addresses can\'t be dialled.');
  return attempts.sort((a, b) => a.rank - b.rank).slice(0, most).map(({ attempt }) => attempt);
}
