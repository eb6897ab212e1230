import type { Spent } from '../../contracts/budget.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { Decision } from '../../contracts/decision.ts';
import type { DecidedPayload, DeniedFacts, DeniedPayload, EgressDescription } from '../../contracts/egress-record.ts';
import type { EventType } from '../../contracts/event.ts';
import { uuidv7 } from '../../contracts/ids.ts';
import { fitsRecord } from '../../contracts/journal.ts';
import { redactHeaders } from '../../contracts/redaction.ts';
import type { Denial } from '../denial.ts';
import type { Egress } from '../describe/egress.ts';
import type { Outcome, PermittedAddress } from '../enforce/permit.ts';
import type { Exchange, Form, RequestHead } from '../exchange.ts';
import type { Attribution } from '../identify/identify.ts';
import type { OpenName } from './open-exchanges.ts';

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
/** What is written of every exchange with the same decision. */
interface DecisionText {
  readonly policy: string;
  readonly judged: string;
}

/**
 * Makes the proxy's events (contracts/event.ts) as lines of the journal. Keys come in the order that recovery reads them in. Written
 * by hand where each exchange passes: two records a request cost a sixth of its time as objects.
 */
export class EventWriter {
  readonly #clock: Clock;
  readonly #actor: string;
  readonly #decisions = new WeakMap<Decision, DecisionText>();
  readonly #attributions = new WeakMap<Attribution, string>();

  constructor(clock: Clock, proxyId: string) {
    this.#clock = clock;
    this.#actor = `"actor":{"kind":"proxy","id":${quote(proxyId)}}`;
  }

  denied(subject: Subject, exchange: Pick<Exchange, 'head' | 'form'>, egress: Egress | undefined, denial: Denial, judgement: Judgement | undefined): Line {
    const facts: DeniedFacts = { egress_id: subject.egress_id, code: denial.code, effect: denial.effect };
    const payload: Omit<DeniedPayload, 'request_headers'> = {
      ...describe(subject, exchange, egress),
      detail: denial.detail.toWellFormed(), next_steps: denial.next_steps.map((step) => step.toWellFormed()), reasons: denial.reasons, default: denial.default,
      address: denial.address ?? null, meter: denial.meter ?? null, input_digest: judgement?.input_digest ?? null,
    };
    const policy = judgement === undefined ? '' : this.#textOf(judgement).policy;
    const write = (headers: string, reasons: DeniedPayload['reasons']): Line =>
      this.#line('egress.denied', subject.attribution, '', policy, quoteObject(facts), `${quoteObject({ ...payload, reasons }).slice(0, -1)},"request_headers":${headers}}`);
    const line = write(redactHeaders(exchange.head.headers), payload.reasons);
    // The heads and all reasons but the first are left out.
    return fitsRecord(line.text) ? line : write('[]', payload.reasons.slice(0, 1));
  }

  decided(subject: Subject, exchange: Exchange, egress: Egress, judgement: Judgement, addresses: readonly PermittedAddress[], observed: DecidedPayload['observed']): Line {
    const { policy, judged } = this.#textOf(judgement);
    const facts = `{"egress_id":${quote(subject.egress_id)},"spent":{"requests":1}}`;
    const write = (headers: string, reasons: string): Line => this.#line(
      'egress.decided', subject.attribution, '', policy, facts,
      `{"act":"${egress.act}","form":"${egress.form}","method":${quote(egress.method)},${spokenText(exchange.head, egress)},"host":${quote(egress.host)},"port":${egress.port},"path":${quoteOrNull(egress.path)}`
      + `,"query_keys":${quoteList(egress.query_keys)},"request_headers":${headers},"credential":"${egress.credential}","assurance":${quoteOrNull(subject.assurance)}`
      + `,${reasons},"addresses":${quoteList(addresses.map(({ address }) => address))},"input_digest":${quote(judgement.input_digest)},"observed":${quoteOrNull(observed)}${viaText(addresses)}}`,
    );
    const line = write(redactHeaders(exchange.head.headers), judged);
    return fitsRecord(line.text) ? line : write('[]', judgedText(judgement.decision, 1));
  }

  retried(subject: Subject, decidedId: string): Line {
    return this.#line('egress.retried', subject.attribution, `"${decidedId}"`, '', `{"egress_id":${quote(subject.egress_id)},"spent":{"requests":1}}`, '{}');
  }

  ended(subject: Subject, decidedId: string, outcome: Outcome): Line {
    const { kind, status, address, bytes_out, bytes_in, code, meter, first_byte_ms, duration_ms, http_version, tls, detail } = outcome;
    const facts = `{"egress_id":${quote(subject.egress_id)},"spent":{"bytes_out":${bytes_out},"bytes_in":${bytes_in}}`
      + `${code === undefined ? '' : `,"code":"${code}"`}${meter === undefined ? '' : `,"meter":"${meter}"`}}`;
    const write = (headers: string): Line => this.#line(
      `egress.${kind}`, subject.attribution, `"${decidedId}"`, '', facts,
      `{"status":${status ?? null},"address":${quoteOrNull(address)},"response_headers":${headers},"http_version":${quoteOrNull(http_version)},"tls":${tls === undefined ? 'null' : quoteObject(tls)},"first_byte_ms":${first_byte_ms === undefined ? null : Math.round(first_byte_ms)}`
      + `,"duration_ms":${Math.round(duration_ms)}${detail === undefined ? '' : `,"detail":${quote(detail.toWellFormed())}`}}`,
    );
    const line = write(redactHeaders(outcome.response_headers));
    return fitsRecord(line.text) ? line : write('[]');
  }

  returned(attribution: Attribution, returned: Spent): Line {
    return this.#line('allowance.returned', attribution, '', '', quoteObject({ returned }), '{}');
  }

  opened(journalId: string, slot: number): Line {
    return this.#line('journal.opened', undefined, '', '', quoteObject({ journal_id: journalId, slot }), '{}');
  }

  recovered(journalId: string, open: readonly OpenName[]): Line {
    return this.#line('journal.recovered', undefined, '', '', quoteObject({ journal_id: journalId, open }), '{}');
  }

  omitted(records: number): Line {
    return this.#line('journal.omitted', undefined, '', '', quoteObject({ records }), '{}');
  }

  engineReplaced(revision: string, throws: number): Line {
    return this.#line('engine.replaced', undefined, '', '', quoteObject({ throws }), quoteObject({ revision }));
  }

  #whose(attribution: Attribution): string {
    const known = this.#attributions.get(attribution);
    if (known !== undefined) return known;
    const made = `,"session_id":${quote(attribution.session_id)},"run_id":${quote(attribution.run_id)}`;
    this.#attributions.set(attribution, made);
    return made;
  }

  #textOf({ decision, revision }: Judgement): DecisionText {
    const known = this.#decisions.get(decision);
    if (known !== undefined) return known;
    const made = { policy: `,"policy":{"revision":${quote(revision)},"rules":${quoteList(rulesOf(decision))}}`, judged: judgedText(decision, decision.reasons.length) };
    this.#decisions.set(decision, made);
    return made;
  }

  /** `causes`, `facts` and `payload` are JSON already; `policy` is empty or a whole member with its comma. */
  #line(type: EventType, attribution: Attribution | undefined, causes: string, policy: string, facts: string, payload: string): Line {
    const at = this.#clock.now();
    const event_id = uuidv7(at);
    const whose = attribution === undefined ? '' : this.#whose(attribution);
    return { event_id, text: `{"v":1,"event_id":"${event_id}","type":"${type}","at":${at}${whose},"causes":[${causes}],${this.#actor}${policy},"facts":${facts},"payload":${payload}}` };
  }
}

const quote = (text: string): string => JSON.stringify(text);
const quoteObject = (value: object): string => JSON.stringify(value);
const quoteOrNull = (text: string | undefined | null): string => text === undefined || text === null ? 'null' : JSON.stringify(text);
const quoteList = (texts: readonly string[]): string => texts.length === 0 ? '[]' : JSON.stringify(texts);

/** Members without a comma at the end. */
function spokenText({ version }: RequestHead, { scheme, tls }: Egress): string {
  return `"scheme":${quoteOrNull(scheme)},"http_version":"${version}","tls":${tls === undefined ? 'null' : quoteObject({ version: tls.version, sni: tls.sni ?? null })}`;
}

function tlsOf(form: Form): EgressDescription['tls'] {
  return form.kind === 'inside' && form.tls !== undefined ? { version: form.tls.version, sni: form.tls.sni ?? null } : null;
}

/** A member with its comma, where an upstream proxy is asked to connect. */
function viaText(addresses: readonly PermittedAddress[]): string {
  const via = addresses.find((address) => address.via !== undefined)?.via;
  return via === undefined ? '' : `,"upstream_proxy":${quote(via.name)}`;
}

function judgedText({ reasons, obligations }: Decision, count: number): string {
  return `"reasons":${JSON.stringify(reasons.slice(0, count))},"obligations":${JSON.stringify(obligations)}`;
}

function describe({ assurance }: Subject, { head, form }: Pick<Exchange, 'head' | 'form'>, egress: Egress | undefined): Omit<EgressDescription, 'request_headers'> {
  const known = {
    act: egress?.act ?? (form.kind === 'connect' ? 'connect' : 'request'), form: form.kind, method: head.method,
    scheme: egress?.scheme ?? null, http_version: head.version, tls: tlsOf(form),
    host: egress?.host ?? null, port: egress?.port ?? null, path: egress?.path ?? null, query_keys: egress?.query_keys ?? [],
    credential: egress?.credential ?? 'none', assurance: assurance ?? null,
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
