import test from 'ava';
import { randomBytes } from 'node:crypto';
import { ensureOperatorKey, principalOf } from '../../../control-plane/access/commands.ts';
import { newAgentToken, newOperatorKey, parseActingRun, parseAuthorization } from '../../../control-plane/access/rules.ts';
import { tokenSha256 } from '../../../control-plane/access/rules.ts';
import { transitionRun } from '../../../control-plane/runs/commands.ts';
import { backends, newRun, servicesFor } from '../backends.ts';

test('an Authorization header is read one way only, and its prefix says what it claims to be', (t) => {
  const operator = newOperatorKey(randomBytes);
  const agent = newAgentToken(3, randomBytes);
  const table: readonly [string, ReturnType<typeof parseAuthorization>][] = [
    [`Bearer ${operator}`, { kind: 'operator', token: operator }],
    [`bearer ${agent}`, { kind: 'agent', token: agent }],
    [`Bearer sp_px_${'x'.repeat(43)}`, { kind: 'proxy', token: `sp_px_${'x'.repeat(43)}` }],
    [`Basic ${operator}`, undefined],
    [operator, undefined],
    ['Bearer sp_op_short', undefined],
    [`Bearer sp_ag_x_${'x'.repeat(43)}`, undefined],
    [`Bearer ${operator} ${operator}`, undefined],
    [`Bearer sp_xx_${'x'.repeat(43)}`, undefined],
    ['', undefined],
  ];
  for (const [header, expected] of table) t.deepEqual(parseAuthorization(header), expected, header);
});

test('Sallyport-Run is read one way only', (t) => {
  t.deepEqual(parseActingRun('run_1;epoch=3'), { run_id: 'run_1', epoch: 3 });
  for (const header of ['', 'run_1', 'run_1;epoch=', 'run_1;epoch=03', 'run_1;epoch=-1', 'run_1; epoch=1', 'run_1;epoch=1;epoch=2', 'run_1;epoch=1, run_2;epoch=1', 'run_1;epoch=1 ', `${'r'.repeat(101)};epoch=1`, 'run_1;epoch=1e3', 'run_1;epoch=9999999999999999', 'a\0;epoch=1']) {
    t.is(parseActingRun(header), undefined, header);
  }
});

for (const { name, test: backendTest, locate } of backends) {
  backendTest(`the first key is made once, whoever starts at the same moment, and opens the door until then nobody could (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const made = await Promise.all([1, 2, 3].map(() => ensureOperatorKey(services)));
    const keys = made.filter((key) => key !== undefined);
    t.is(keys.length, 1);
    t.is(await ensureOperatorKey(services), undefined);
    t.like(await principalOf(services, `Bearer ${keys[0]}`), { kind: 'operator', local: false });
    t.is(await principalOf(services, `Bearer ${newOperatorKey(randomBytes)}`), undefined);
    const stored = JSON.stringify(await services.database.kysely.selectFrom('keys').selectAll().execute());
    t.false(stored.includes(keys[0]!.slice(10)), 'only its hash is stored');
    await services.database.kysely.updateTable('keys').set({ revoked_at: 1 }).execute();
    t.is(await principalOf(services, `Bearer ${keys[0]}`), undefined, 'revoked');
  });

  backendTest(`an agent's token opens its own run, and only the token of that epoch (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const { run_id, agent_token } = await newRun(services);
    t.deepEqual(await principalOf(services, `Bearer ${agent_token}`), { kind: 'agent', id: run_id, run_id });
    t.is(await principalOf(services, `Bearer ${agent_token.replace('sp_ag_1_', 'sp_ag_2_')}`), undefined);
    t.is(await principalOf(services, `Bearer ${agent_token}x`), undefined);
  });

  backendTest(`a proxy speaks for the agent of a run that lives, at its epoch, and is then that agent only (${name})`, async (t) => {
    const proxy = `sp_px_${'p'.repeat(43)}`;
    const services = { ...await servicesFor(t, await locate(t)), proxyTokenSha256: tokenSha256(proxy) };
    const { run_id, agent_token } = await newRun(services);
    const as = (actingRun?: string, token: string = proxy) => principalOf(services, `Bearer ${token}`, actingRun);
    t.deepEqual(await as(), { kind: 'proxy', id: 'proxy' });
    t.deepEqual(await as(`${run_id};epoch=1`), { kind: 'agent', id: run_id, run_id });
    t.is(await as(`${run_id};epoch=1`, `sp_px_${'q'.repeat(43)}`), undefined, 'another token');
    await t.throwsAsync(as(`${run_id};epoch=2`), { code: 'stale_epoch' });
    await t.throwsAsync(as('run_none;epoch=1'), { code: 'unknown_run' });
    await t.throwsAsync(as(run_id), { code: 'bad_request' });
    await t.throwsAsync(as(`${run_id};epoch=1`, agent_token), { code: 'forbidden' }, 'an agent, even of that run');
    await t.throwsAsync(as(`${run_id};epoch=1`, (await ensureOperatorKey(services))!), { code: 'forbidden' }, 'an operator');
    await transitionRun(services, run_id, { kind: 'operator', id: 'local', local: true }, { to: 'Cancelled' });
    await t.throwsAsync(as(`${run_id};epoch=1`), { code: 'run_ended' });
  });
}
