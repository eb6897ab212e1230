import type { Clock } from '../../contracts/clock.ts';
import { classifyAddress } from '../../contracts/addresses.ts';
import { buildPolicyInput, type PolicyInputParts } from '../../contracts/policy-input.ts';
import type { Egress } from '../describe/egress.ts';
import type { OwnAddresses } from '../describe/own-addresses.ts';
import type { PermittedAddress } from '../enforce/permit.ts';
import { Remembered } from '../remembered.ts';
import type { LiveRun } from '../runs.ts';
import type { Judgement } from '../record/egress-events.ts';
import type { Decide } from './question.ts';

/** Policy's answer to an egress, before any name is looked up. */
export function judge(decide: Decide, run: LiveRun, egress: Egress, own: OwnAddresses, clock: Clock): Judgement {
  return ask(decide, egress.act, run, egress, literalOf(egress, own), clock);
}

/** Policy's answer to one address that would be dialled. */
export function judgeDial(decide: Decide, run: LiveRun, egress: Egress, address: PermittedAddress, clock: Clock): Judgement {
  return ask(decide, 'dial', run, egress, address, clock);
}

function ask(decide: Decide, act: 'connect' | 'request' | 'dial', run: LiveRun, egress: Egress, known: KnownAddress | undefined, clock: Clock): Judgement {
  const { scheme, tls, host, port, method, path, credential, host_mismatch } = egress;
  return decide({
    snapshot: run.snapshot,
    // No part but the last can hold a space.
    key: `${act} ${scheme} ${tls?.sni} ${host} ${port} ${known?.address} ${known?.address_class} ${credential} ${host_mismatch} ${act === 'request' ? `${method} ${path}` : ''}`,
    input: () => buildPolicyInput(partsOf(act, run, egress, known, clock)),
  });
}

interface KnownAddress {
  readonly address: string;
  readonly address_class: string;
}

/** A literal is its own answer, so it need not wait for one to be refused. */
function literalOf({ host, port, is_ip_literal, own_name }: Egress, own: OwnAddresses): KnownAddress | undefined {
  if (own_name) return { address: host, address_class: 'self' };
  if (!is_ip_literal) return undefined;
  const address_class = own.has(host, port) ? 'self' : classOf(host);
  return address_class === undefined ? undefined : { address: host, address_class };
}

/** By canonical literal: classifying one takes 2 us. */
const classes = new Remembered<string>();

function classOf(literal: string): string | undefined {
  const known = classes.get(literal);
  if (known !== undefined) return known;
  const found = classifyAddress(literal)?.address_class;
  if (found !== undefined) classes.set(literal, found);
  return found;
}

function partsOf(act: 'connect' | 'request' | 'dial', run: LiveRun, egress: Egress, known: KnownAddress | undefined, clock: Clock): PolicyInputParts {
  const { snapshot } = run;
  const { host, port, is_ip_literal, scheme, headers } = egress;
  return {
    act,
    run: {
      id: snapshot.run_id, session_id: snapshot.session_id, agent: snapshot.agent, state: snapshot.state,
      labels: snapshot.labels, taint: snapshot.taint, policy: snapshot.policy,
    },
    destination: {
      host, port, is_ip_literal, ...(scheme !== undefined && { scheme }),
      ...(known !== undefined && { address: known.address, address_class: known.address_class }),
    },
    ...(act === 'request' && {
      request: {
        method: egress.method, path: egress.path ?? '/', query_keys: egress.query_keys, headers: pairs(headers),
        ...(egress.body_bytes !== undefined && { body_bytes: egress.body_bytes }),
      },
    }),
    ...(egress.tls !== undefined && { tls: { ...(egress.tls.sni !== undefined && { sni: egress.tls.sni }), intercepted: true } }),
    signals: { credential: egress.credential, host_mismatch: egress.host_mismatch },
    now_ms: clock.now(),
  };
}

function* pairs(headers: readonly string[]): Iterable<readonly [name: string, value: string]> {
  for (let index = 0; index < headers.length; index += 2) yield [headers[index]!, headers[index + 1]!];
}
