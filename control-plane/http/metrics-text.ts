import { collectDefaultMetrics, Registry, type Metric } from 'prom-client';
import type { MetricFamily } from '../../contracts/metrics.ts';

export interface MetricsText {
  readonly contentType: string;
  /** The families in Prometheus' text format, after this process's own (memory, processor, event loop, garbage collection). */
  write(families: readonly MetricFamily[]): Promise<string>;
}

export function metricsText(): MetricsText {
  const ofProcess = new Registry();
  collectDefaultMetrics({ register: ofProcess, prefix: 'sallyport_control_plane_' });
  return {
    contentType: ofProcess.contentType,
    write: async (families) => {
      const registry = new Registry();
      for (const family of families) registry.registerMetric(asMetric(family));
      // It spells what was never measured `Nan`; the format has `NaN`.
      return [await ofProcess.metrics(), await registry.metrics()].join('\n').replace(/ Nan$/gm, ' NaN');
    },
  };
}

/** What a registry asks of a metric: its values, which here have been counted elsewhere. */
function asMetric({ name, help, type, samples }: MetricFamily): Metric {
  const values = samples.map(({ suffix, labels, value }) => ({ value, labels, ...suffix !== undefined && { metricName: `${name}${suffix}` } }));
  return { name, help, type, get: () => Promise.resolve({ name, help, type, values, aggregator: 'sum' }) } as unknown as Metric;
}
