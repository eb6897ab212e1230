import test from 'ava';
import type { CreatedRun, Page, RunAction, RunView, SettledAnswer } from '../../../contracts/run-api.ts';
import { verifyExport } from '../../../contracts/verify.ts';
import { startTestControlPlane } from '../harness.ts';

test('a run is created, ended, settled, and all of it is in an export that verifies', async (t) => {
  const { call, faults } = await startTestControlPlane(t);
  const created = await call<CreatedRun>('POST', '/chat/run', { body: { goal: 'say hello', channel: 'jail', labels: { team: 'red' } } });
  t.is(created.status, 201, created.text);
  const { run_id, session_id, agent_token } = created.body;
  t.like(created.body, { state: 'Active', channel: 'jail', assurance: 'jailed', epoch: 1, goal: 'say hello', labels: { team: 'red' }, proxies: { connected: 0, acknowledged: 0 } });
  t.regex(agent_token, /^sp_ag_1_/);
  t.is(created.headers.location, `/chat/run/${run_id}`);
  const ended = await call<RunView>('POST', `/chat/run/${run_id}/transition`, { body: { to: 'Done', exit_code: 0 } });
  t.like(ended.body, { state: 'Done', exit_code: 0, session_id });
  const settled = await call<SettledAnswer>('GET', `/chat/run/${run_id}/settled?wait_ms=5000`);
  t.like(settled.body, { settled: true });
  const actions = await call<Page<RunAction>>('GET', `/chat/run/${run_id}/actions`);
  t.deepEqual(actions.body.items.map(({ event }) => event.type), ['run.transitioned', 'run.created']);
  t.true(actions.body.items.every(({ entry_index }) => typeof entry_index === 'number'));
  const exported = await call<string>('GET', '/admin/audit/export');
  const report = verifyExport(exported.text.split('\n').slice(0, -1));
  t.deepEqual(report.problems, []);
  t.true(report.sealed === report.entries && report.entries >= 4);
  t.deepEqual(faults, []);
});
