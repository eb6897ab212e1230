import test from 'ava';
import { proxyToken, startTestControlPlane } from '../harness.ts';
import { decided, newEgress, TestJournal } from '../segments.ts';

const segments = 30;

test('an export goes at its client\'s pace, without a listener for each part that waited', async (t) => {
  const { call } = await startTestControlPlane(t);
  const warnings: string[] = [];
  const warned = ({ name }: Error): void => { warnings.push(name); };
  process.on('warning', warned);
  t.teardown(() => process.off('warning', warned));
  const journal = new TestJournal();
  // Each more than a socket takes at once, so that each is waited for.
  const records = () => Array.from({ length: 20 }, () => ({ ...decided('run_none', newEgress()), payload: { url: 'x'.repeat(4096) } }));
  for (let count = 0; count < segments; count++) t.is((await call('POST', '/data-plane/events', { token: proxyToken, body: journal.segment(records()) })).status, 200);
  const { text } = await call('GET', '/admin/audit/export');
  const lines = text.trimEnd().split('\n').map((line) => JSON.parse(line) as { readonly kind?: string });
  t.is(lines.at(-1)?.kind, 'end');
  t.true(lines.filter(({ kind }) => kind === 'entry').length >= segments);
  t.deepEqual(warnings, []);
});
