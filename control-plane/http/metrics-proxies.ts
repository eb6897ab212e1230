import type { Clock } from '../../contracts/clock.ts';
import { metricsKeptMs, type MetricFamily, type MetricsPush } from '../../contracts/metrics.ts';

/** Proxies remembered; the one that was heard least recently goes beyond it. */
const maxProxies = 200;

/** The last snapshot of each proxy that tells this replica. Kept in memory: they are totals, and the next one has all of it. */
export class ProxyMetrics {
  readonly #clock: Clock;
  readonly #snapshots = new Map<string, { readonly at: number; readonly families: readonly MetricFamily[] }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  take({ proxy_id, families }: MetricsPush): void {
    this.#snapshots.delete(proxy_id);
    this.#snapshots.set(proxy_id, { at: this.#clock.monotonic(), families });
    const [oldest] = this.#snapshots.keys();
    if (this.#snapshots.size > maxProxies && oldest !== undefined) this.#snapshots.delete(oldest);
  }

  /** Families of all proxies that were heard within the last minute, each sample with its `proxy`. Of two proxies that differ about a family the first is believed. */
  families(): readonly MetricFamily[] {
    const now = this.#clock.monotonic();
    const merged = new Map<string, MetricFamily & { readonly samples: MetricFamily['samples'][number][] }>();
    for (const [proxy, { at, families }] of this.#snapshots) {
      if (now - at >= metricsKeptMs) {
        this.#snapshots.delete(proxy);
        continue;
      }
      for (const { name, help, type, samples } of families) {
        const known = merged.get(name) ?? { name, help, type, samples: [] };
        merged.set(name, known);
        if (known.type !== type) continue;
        for (const sample of samples) known.samples.push({ ...sample, labels: { ...sample.labels, proxy } });
      }
    }
    return [...merged.values()];
  }
}
