import test from 'ava';
import { metricsPushSchema, Times, Totals } from '../../contracts/metrics.ts';

test('totals are by their labels, and their number is bounded', (t) => {
  const totals = new Totals(['code', 'effect']);
  totals.add(1, 'a', 'deny');
  totals.add(2, 'a', 'deny');
  totals.add(1, 'b', 'fault');
  t.deepEqual(totals.samples, [{ labels: { code: 'a', effect: 'deny' }, value: 3 }, { labels: { code: 'b', effect: 'fault' }, value: 1 }]);
  for (let index = 0; index < 2000; index++) totals.add(1, `c${index}`, 'deny');
  t.true(totals.samples.length <= 501);
  t.is(totals.samples.reduce((sum, { value }) => sum + value, 0), 2004, 'nothing is lost');
  t.is(totals.samples.find(({ labels }) => labels['code'] === 'other')?.value, 2004 - 4 - 498);
});

test('times fall into cumulated buckets', (t) => {
  const times = new Times();
  for (const seconds of [0, 0.0001, 0.00011, 1, 1000]) times.add(seconds);
  const samples = times.samplesWith({ kind: 'x' });
  const bucket = (le: string): number | undefined => samples.find(({ labels }) => labels['le'] === le)?.value;
  t.deepEqual([bucket('0.0001'), bucket('0.00025'), bucket('1'), bucket('60'), bucket('+Inf')], [2, 3, 4, 4, 5]);
  t.like(samples.at(-1), { suffix: '_count', labels: { kind: 'x' }, value: 5 });
  t.true(Math.abs((samples.at(-2)?.value ?? 0) - 1001.00021) < 1e-9);
});

test('a push names only its own metrics, and never which proxy it is', (t) => {
  const family = { name: 'sallyport_proxy_open', help: 'h', type: 'gauge', samples: [{ labels: { kind: 'http' }, value: 1 }] };
  const push = (change: object): unknown => ({ proxy_id: 'p', families: [{ ...family, ...change }] });
  t.true(metricsPushSchema.safeParse(push({})).success);
  for (const change of [{ name: 'sallyport_runs' }, { name: 'sallyport_proxy_a\nb' }, { samples: [{ labels: { proxy: 'other' }, value: 1 }] }, { samples: [{ labels: { 'a"': 'x' }, value: 1 }] }, { type: 'x' }, { samples: [{ labels: {}, value: '1' }] }, { extra: 1 }]) {
    t.false(metricsPushSchema.safeParse(push(change)).success, JSON.stringify(change));
  }
});
