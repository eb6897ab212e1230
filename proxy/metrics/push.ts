import type { Clock, Timer } from '../../contracts/clock.ts';
import { metricsPushBytes, metricsPushEveryMs, type MetricsPush } from '../../contracts/metrics.ts';
import { WorkerMetrics, type Gauges } from './worker-metrics.ts';

export interface MetricsOptions {
  readonly clock: Clock;
  readonly proxy_id: string;
  readonly gauges: Gauges;
  /** `POST /data-plane/metrics`. */
  readonly post: (push: MetricsPush) => Promise<unknown>;
}

/** Counts, and tells the control plane every 5 s. A snapshot that does not arrive is lost: the next one has all of it. */
export function startMetrics({ clock, proxy_id, gauges, post }: MetricsOptions): { readonly end: () => void } {
  const metrics = new WorkerMetrics(gauges);
  let ended = false;
  let timer: Timer | undefined;
  const push = async (): Promise<void> => {
    const snapshot: MetricsPush = { proxy_id, families: metrics.families() };
    // The bounds of its labels keep it far below.
    if (Buffer.byteLength(JSON.stringify(snapshot)) <= metricsPushBytes) await post(snapshot).catch(() => undefined);
    if (!ended) schedule();
  };
  const schedule = (): void => { timer = clock.setTimeout(() => { void push(); }, metricsPushEveryMs, { background: true }); };
  schedule();
  return {
    end: () => {
      ended = true;
      timer?.cancel();
      metrics.end();
    },
  };
}
