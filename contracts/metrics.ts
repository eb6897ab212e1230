import { z } from 'zod';

/**
 * Metrics as a proxy hands them to its control plane (`POST /data-plane/metrics`), which serves them to Prometheus. Totals since the
 * worker's start; a later snapshot replaces an earlier one. Labels never hold a run, a host or anything that an agent can choose.
 */
const metricFamilySchema = z.strictObject({
  name: z.string().regex(/^sallyport_proxy_[a-z0-9_]{1,80}$/),
  help: z.string().min(1).max(400),
  type: z.enum(['counter', 'gauge', 'histogram']),
  samples: z.array(z.strictObject({
    /** Of a histogram's parts: `_bucket`, `_sum`, `_count`. */
    suffix: z.enum(['_bucket', '_sum', '_count']).optional(),
    labels: z.record(z.string().regex(/^[a-z][a-z0-9_]{0,39}$/).refine((name) => name !== 'proxy', 'is the control plane\'s to give'), z.string().max(100)),
    value: z.number(),
  })).max(2_000),
});

export interface MetricSample {
  readonly suffix?: '_bucket' | '_sum' | '_count' | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly samples: readonly MetricSample[];
}

export const metricsPushSchema = z.strictObject({
  proxy_id: z.string().min(1).max(100),
  families: z.array(metricFamilySchema).max(100),
});

export interface MetricsPush {
  readonly proxy_id: string;
  readonly families: readonly MetricFamily[];
}

export const metricsPushEveryMs = 5_000;
/** A proxy that has been silent for so long is not shown any more. */
export const metricsKeptMs = 60_000;
/** Of one push, in bytes. */
export const metricsPushBytes = 256 * 1024;

/** A total for each combination of label values, in the order of the names; cheap to add to. */
export class Totals {
  readonly #names: readonly string[];
  readonly #values = new Map<string, number>();

  constructor(names: readonly string[] = []) {
    this.#names = names;
  }

  /** Values must come from a bounded set; beyond `seriesMax` combinations the rest is counted as `other`. */
  add(units: number, ...labels: readonly string[]): void {
    const key = labels.length === 1 ? labels[0]! : labels.join('\n');
    const known = this.#values.get(key);
    if (known === undefined && this.#values.size >= seriesMax) {
      const rest = labels.map(() => 'other').join('\n');
      this.#values.set(rest, (this.#values.get(rest) ?? 0) + units);
    } else {
      this.#values.set(key, (known ?? 0) + units);
    }
  }

  get samples(): readonly MetricSample[] {
    if (this.#names.length === 0) return [{ labels: {}, value: this.#values.get('') ?? 0 }];
    return [...this.#values].map(([key, value]) => {
      const labels = key.split('\n');
      return { labels: Object.fromEntries(this.#names.map((name, index) => [name, labels[index] ?? ''])), value };
    });
  }
}

const seriesMax = 500;

/** Bounds of the usual histogram of times, in seconds. */
const bounds = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

/** Times in seconds, counted into buckets. */
export class Times {
  readonly #counts = new Float64Array(bounds.length + 1);
  #sum = 0;

  add(seconds: number): void {
    let index = 0;
    while (index < bounds.length && seconds > bounds[index]!) index++;
    this.#counts[index]!++;
    this.#sum += seconds;
  }

  samplesWith(labels: Readonly<Record<string, string>> = {}): readonly MetricSample[] {
    let count = 0;
    const buckets = [...this.#counts].map((units, index): MetricSample => {
      count += units;
      return { suffix: '_bucket', labels: { ...labels, le: index === bounds.length ? '+Inf' : String(bounds[index]) }, value: count };
    });
    return [...buckets, { suffix: '_sum', labels, value: this.#sum }, { suffix: '_count', labels, value: count }];
  }
}
