import type { Spent } from '../../contracts/budget.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { Decision } from '../../contracts/decision.ts';
import type { DecidedFacts, DecidedPayload, DeniedFacts, DeniedPayload, EgressDescription, OutcomeFacts, OutcomePayload } from '../../contracts/egress-record.ts';
import type { Actor, Event, EventType } from '../../contracts/event.ts';
import { uuidv7 } from '../../contracts/ids.ts';
import type { JsonObject } from '../../contracts/json.ts';
import { redactHeaders } from '../../contracts/redaction.ts';
import type { Denial } from '../denial.ts';
import type { Egress } from '../describe/egress.ts';
import type { Outcome, PermittedAddress } from '../enforce/permit.ts';
import type { Exchange } from '../exchange.ts';
import type { Attribution } from '../identify/identify.ts';
import type { OpenExchange } from './open-exchanges.ts';

/** Whose exchange it is; nothing is known of an agent that was not identified. */
export interface Subject {
  readonly egress_id: string;
  readonly attribution: Attribution | undefined;
  readonly assurance: 'jailed' | 'cooperative' | undefined;
}

/** What policy said, and under which revision. */
export interface Judgement {
  readonly decision: Decision;
  readonly revision: string;
  readonly input_digest: string;
}

export interface Line {
  readonly event_id: string;
  readonly text: string;
}

const rulesMax = 64;
const longestTarget = 2048;

/** Makes the proxy's events (contracts/event.ts) as lines of the journal. Keys come in the order that recovery reads them in. */
export class EventWriter {
  readonly #clock: Clock;
  readonly #actor: Actor;

  constructor(clock: Clock, proxyId: string) {
    this.#clock = clock;
    this.#actor = { kind: 'proxy', id: proxyId };
  }

  denied(subject: Subject, exchange: Exchange, egress: Egress | undefined, denial: Denial, judgement: Judgement | undefined): Line {
    const facts: DeniedFacts = { egress_id: subject.egress_id, code: denial.code, effect: denial.effect };
    const payload: DeniedPayload = {
      ...describe(subject, exchange, egress),
      detail: denial.detail, next_steps: denial.next_steps, reasons: denial.reasons, default: denial.default,
      address: denial.address ?? null, meter: denial.meter ?? null, input_digest: judgement?.input_digest ?? null,
    };
    return this.#line('egress.denied', subject.attribution, [], judgement, facts, payload);
  }

  decided(subject: Subject, exchange: Exchange, egress: Egress, judgement: Judgement, addresses: readonly PermittedAddress[], observed: DecidedPayload['observed']): Line {
    const facts: DecidedFacts = { egress_id: subject.egress_id, spent: { requests: 1 } };
    const payload: DecidedPayload = {
      ...describe(subject, exchange, egress),
      reasons: judgement.decision.reasons, obligations: judgement.decision.obligations,
      addresses: addresses.map(({ address }) => address), input_digest: judgement.input_digest, observed,
    };
    return this.#line('egress.decided', subject.attribution, [], judgement, facts, payload);
  }

  retried(subject: Subject, decidedId: string): Line {
    const facts: DecidedFacts = { egress_id: subject.egress_id, spent: { requests: 1 } };
    return this.#line('egress.retried', subject.attribution, [decidedId], undefined, facts, {});
  }

  ended(subject: Subject, decidedId: string, outcome: Outcome): Line {
    const facts: OutcomeFacts = {
      egress_id: subject.egress_id, spent: { bytes_out: outcome.bytes_out, bytes_in: outcome.bytes_in },
      ...(outcome.code !== undefined && { code: outcome.code }), ...(outcome.meter !== undefined && { meter: outcome.meter }),
    };
    const payload: OutcomePayload = {
      status: outcome.status ?? null, address: outcome.address ?? null, response_headers: redactHeaders(outcome.response_headers),
      first_byte_ms: outcome.first_byte_ms === undefined ? null : Math.round(outcome.first_byte_ms), duration_ms: Math.round(outcome.duration_ms),
    };
    return this.#line(`egress.${outcome.kind}`, subject.attribution, [decidedId], undefined, facts, payload);
  }

  returned(attribution: Attribution, returned: Spent): Line {
    return this.#line('allowance.returned', attribution, [], undefined, { returned }, {});
  }

  opened(journalId: string, slot: number): Line {
    return this.#line('journal.opened', undefined, [], undefined, { journal_id: journalId, slot }, {});
  }

  recovered(journalId: string, open: readonly OpenExchange[]): Line {
    return this.#line('journal.recovered', undefined, [], undefined, { journal_id: journalId, open }, {});
  }

  omitted(records: number): Line {
    return this.#line('journal.omitted', undefined, [], undefined, { records }, {});
  }

  engineReplaced(revision: string, throws: number): Line {
    return this.#line('engine.replaced', undefined, [], undefined, { throws }, { revision });
  }

  #line(type: EventType, attribution: Attribution | undefined, causes: readonly string[], judgement: Judgement | undefined, facts: object, payload: object): Line {
    const at = this.#clock.now();
    const event_id = uuidv7(at);
    const event: Event = {
      v: 1, event_id, type, at,
      ...(attribution !== undefined && { session_id: attribution.session_id, run_id: attribution.run_id }),
      causes, actor: this.#actor,
      ...(judgement !== undefined && { policy: { revision: judgement.revision, rules: rulesOf(judgement.decision) } }),
      facts: facts as JsonObject, payload: payload as JsonObject,
    };
    return { event_id, text: JSON.stringify(event) };
  }
}

function describe({ assurance }: Subject, { head, form }: Exchange, egress: Egress | undefined): EgressDescription {
  const known = {
    act: egress?.act ?? (form.kind === 'connect' ? 'connect' : 'request'), form: form.kind, method: head.method,
    host: egress?.host ?? null, port: egress?.port ?? null, path: egress?.path ?? null, query_keys: egress?.query_keys ?? [],
    request_headers: redactHeaders(head.headers), credential: egress?.credential ?? 'none', assurance: assurance ?? null,
  } as const;
  return egress === undefined ? { ...known, target: targetOf(head.target) } : known;
}

/** Query values and user information may be anybody's secrets, also where the rest could not be read. */
function targetOf(target: string): string {
  return target.slice(0, longestTarget).replace(/\?.*/s, '?').replace(/^([a-z+.-]*:?\/\/)?[^/]*@/i, '$1...@');
}

function rulesOf({ reasons }: Decision): readonly string[] {
  return [...new Set(reasons.map(({ rule }) => rule))].slice(0, rulesMax);
}
