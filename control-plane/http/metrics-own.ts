import type { Middleware } from 'koa';
import { sql } from 'kysely';
import type { Clock } from '../../contracts/clock.ts';
import { Times, Totals, type MetricFamily, type MetricSample } from '../../contracts/metrics.ts';
import { chainSizes } from '../audit/commands.ts';
import { countProxies } from '../proxies/commands.ts';
import { countLive } from '../runs/commands.ts';
import type { Services } from '../services.ts';

const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);

/** What this replica counts of its own requests, and what the database says. */
export class OwnMetrics {
  readonly #clock: Clock;
  readonly #requests = new Totals(['method', 'route', 'status']);
  readonly #times = new Times();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The outermost step. Routes are counted by their pattern, so what comes in a path adds no series. */
  readonly count: Middleware = async (ctx, next) => {
    const began = this.#clock.monotonic();
    try {
      await next();
    } finally {
      const route = (ctx as { readonly _matchedRoute?: unknown })._matchedRoute;
      this.#requests.add(1, methods.has(ctx.method) ? ctx.method : 'other', typeof route === 'string' ? route : 'none', String(ctx.status));
      this.#times.add((this.#clock.monotonic() - began) / 1000);
    }
  };

  async families(services: Services): Promise<readonly MetricFamily[]> {
    return [
      family('counter', 'http_requests_total', 'Requests to the API of this replica by route and status.', this.#requests.samples),
      family('histogram', 'http_request_seconds', 'Time until a request was answered, or its stream was open.', this.#times.samplesWith()),
      ...await this.#ofDatabase(services),
    ];
  }

  /** The same from every replica. */
  async #ofDatabase(services: Services): Promise<readonly MetricFamily[]> {
    const { kysely } = services.database;
    const began = this.#clock.monotonic();
    try {
      await sql`select 1`.execute(kysely);
      const took = this.#clock.monotonic() - began;
      const [{ entries, sealed, segments }, runs, proxies] = [await chainSizes(services), await countLive(kysely), await countProxies(services, 0)];
      return [
        gauge('database_up', 'Whether the database answers.', one(1)),
        gauge('database_seconds', 'What the shortest of queries took now.', one(took / 1000)),
        gauge('chain_entries', 'Entries of the chain.', one(entries)),
        gauge('chain_sealed_entries', 'Entries that the last seal covers.', one(sealed)),
        family('counter', 'segments_ingested_total', 'Journal segments that were taken into the chain.', [one(segments)]),
        family('gauge', 'runs', 'Runs that are not over, by state.', runs.map(({ state, count }) => one(count, { state }))),
        gauge('proxies_connected', 'Proxies with an open push stream to any replica.', one(proxies.connected)),
      ];
    } catch {
      // Whoever watches has to hear that the database is gone, and still get the rest.
      return [gauge('database_up', 'Whether the database answers.', one(0))];
    }
  }
}

const one = (value: number, labels: MetricSample['labels'] = {}): MetricSample => ({ labels, value });
const family = (type: MetricFamily['type'], name: string, help: string, samples: readonly MetricSample[]): MetricFamily => ({ name: `sallyport_${name}`, help, type, samples });
const gauge = (name: string, help: string, sample: MetricSample): MetricFamily => family('gauge', name, help, [sample]);
