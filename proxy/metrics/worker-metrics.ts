import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Times, Totals, type MetricFamily, type MetricSample } from '../../contracts/metrics.ts';
import { signals, type Signals } from '../signals.ts';

/** What is asked for when metrics are taken. */
export interface Gauges {
  /** Open client connections. */
  readonly connections: () => number;
  readonly runs: () => number;
  /** Of closed segments that the control plane has not taken: bytes, and milliseconds since the oldest was closed. */
  readonly lag: () => { readonly bytes: number; readonly milliseconds: number };
}

/**
 * What a worker counts, from its signals: an addition for each, and nothing is formatted until somebody asks. It costs about 1 us for
 * a request.
 */
export class WorkerMetrics {
  readonly #gauges: Gauges;
  readonly #decisions = new Totals(['act', 'effect', 'rule']);
  readonly #refusals = new Totals(['code', 'effect']);
  readonly #ended = new Totals(['kind', 'outcome', 'code']);
  readonly #bytes = new Totals(['direction']);
  readonly #open = { http: 0, tunnel: 0 };
  readonly #added = new Times();
  readonly #firstByte = new Times();
  readonly #allowances = new Totals(['outcome']);
  readonly #draws = new Totals(['outcome']);
  readonly #drawTimes = new Times();
  readonly #policies = new Totals(['outcome']);
  readonly #policyTimes = new Times();
  readonly #internal = new Totals(['status']);
  readonly #faults = new Totals(['where']);
  #journal = 1;
  #stream = 0;
  readonly #delay = monitorEventLoopDelay({ resolution: 10 });
  readonly #ends: (() => void)[] = [];

  constructor(gauges: Gauges) {
    this.#gauges = gauges;
    this.#delay.enable();
    this.#on('permitted', ({ act, effect, rule, waited, added_ms }) => {
      this.#decisions.add(1, act, effect, rule);
      if (act === 'inside') return;
      this.#open[act]++;
      this.#added.add(added_ms / 1000);
      this.#allowances.add(1, waited ? 'miss' : 'hit');
    });
    this.#on('denied', ({ code, effect, rule }) => {
      this.#refusals.add(1, code, effect);
      if (rule !== undefined) this.#decisions.add(1, 'any', effect, rule);
    });
    this.#on('ended', ({ act, kind, code, bytes_out, bytes_in, first_byte_ms }) => {
      this.#open[act]--;
      this.#ended.add(1, act, kind, code ?? '');
      this.#bytes.add(bytes_out, 'out');
      this.#bytes.add(bytes_in, 'in');
      if (first_byte_ms !== undefined) this.#firstByte.add(first_byte_ms / 1000);
    });
    this.#on('drawn', ({ outcome, took_ms }) => {
      this.#draws.add(1, outcome);
      this.#drawTimes.add(took_ms / 1000);
    });
    this.#on('loaded', ({ took_ms }) => { this.#policyTimes.add(took_ms / 1000); });
    this.#on('policy', ({ problem }) => { this.#policies.add(1, problem === undefined ? 'in_force' : 'refused'); });
    this.#on('internal', ({ status }) => { this.#internal.add(1, String(status)); });
    this.#on('fault', ({ where }) => { this.#faults.add(1, where); });
    this.#on('journal', ({ problem }) => { this.#journal = problem === undefined ? 1 : 0; });
    this.#on('stream', ({ problem }) => { this.#stream = problem === undefined ? 1 : 0; });
  }

  end(): void {
    this.#delay.disable();
    for (const end of this.#ends) end();
  }

  /** Totals since the start; the event loop's delay since the last time. */
  families(): readonly MetricFamily[] {
    const lag = this.#gauges.lag();
    const { user, system } = process.cpuUsage();
    const families = [
      counter('decisions_total', 'Decisions by what was asked (http, tunnel, inside: a CONNECT whose inside is judged; any: not sent), effect and the first rule that gave it.', this.#decisions.samples),
      counter('refusals_total', 'Refusals by code, engine_error and journal_unavailable among them, whatever the reason.', this.#refusals.samples),
      counter('exchanges_total', 'Exchanges that were sent and have ended, by kind, how they ended, and the code of what went wrong.', this.#ended.samples),
      counter('bytes_total', 'Bytes between the proxy and origins, as the meters bytes_out and bytes_in count them.', this.#bytes.samples),
      gauge('open', 'Exchanges under way.', [one(this.#open.http, { kind: 'http' }), one(this.#open.tunnel, { kind: 'tunnel' })]),
      gauge('connections', 'Open connections of clients.', [one(this.#gauges.connections())]),
      gauge('runs', 'Runs that this worker knows to be live.', [one(this.#gauges.runs())]),
      histogram('added_seconds', 'Latency added before anything is sent: from a request\'s head being read to its permit, so identification, decision, look-up of the name, budget and the journal\'s receipt.', this.#added),
      histogram('upstream_first_byte_seconds', 'From the permit to the first byte of the origin\'s answer, connecting included.', this.#firstByte),
      counter('allowance_total', 'Units of requests taken from what is held (hit), or only after asking the control plane (miss).', this.#allowances.samples),
      counter('draws_total', 'Draws on budgets by whether they were answered.', this.#draws.samples),
      histogram('draw_seconds', 'Time of one draw.', this.#drawTimes),
      gauge('journal_unshipped_bytes', 'Closed segments of journals that the control plane has not taken.', [one(lag.bytes)]),
      gauge('journal_unshipped_seconds', 'Age of the oldest of them, from its closing or this worker\'s start.', [one(lag.milliseconds / 1000)]),
      gauge('journal_available', '1 while the journal takes records.', [one(this.#journal)]),
      gauge('control_plane_connected', '1 while the push stream is whole.', [one(this.#stream)]),
      counter('policy_loads_total', 'Revisions put in force, and those that were refused.', this.#policies.samples),
      histogram('policy_load_seconds', 'From hearing of a revision to its being in force: fetched, tried and warmed up.', this.#policyTimes),
      counter('internal_requests_total', 'Requests to sallyport.internal by status of the answer.', this.#internal.samples),
      counter('faults_total', 'Things that should not happen, by where; the log says what.', this.#faults.samples),
      gauge('event_loop_delay_seconds', 'Delay of the event loop since the last snapshot.', this.#delays()),
      gauge('resident_memory_bytes', 'Resident memory of the worker.', [one(process.memoryUsage.rss())]),
      counter('cpu_seconds_total', 'Processor time of the worker.', [one(user / 1e6, { mode: 'user' }), one(system / 1e6, { mode: 'system' })]),
    ];
    return families.filter(({ samples }) => samples.length > 0);
  }

  #delays(): readonly MetricSample[] {
    const samples = ([['0.5', this.#delay.percentile(50)], ['0.99', this.#delay.percentile(99)], ['1', this.#delay.max]] as const)
      // Nothing was measured yet.
      .map(([quantile, nanoseconds]) => one(Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds) / 1e9 : 0, { quantile }));
    this.#delay.reset();
    return samples;
  }

  #on<Name extends keyof Signals>(name: Name, listener: (message: Signals[Name]) => void): void {
    const heard = (message: unknown): void => { listener(message as Signals[Name]); };
    signals[name].subscribe(heard);
    this.#ends.push(() => { signals[name].unsubscribe(heard); });
  }
}

const one = (value: number, labels: MetricSample['labels'] = {}): MetricSample => ({ labels, value });
const family = (type: MetricFamily['type'], name: string, help: string, samples: readonly MetricSample[]): MetricFamily => ({ name: `sallyport_proxy_${name}`, help, type, samples });
const counter = (name: string, help: string, samples: readonly MetricSample[]): MetricFamily => family('counter', name, help, samples);
const gauge = (name: string, help: string, samples: readonly MetricSample[]): MetricFamily => family('gauge', name, help, samples);
const histogram = (name: string, help: string, times: Times): MetricFamily => family('histogram', name, help, times.samplesWith());
