import { timingSafeEqual } from 'node:crypto';
import { SallyportError } from '../../contracts/errors.ts';
import { newId } from '../../contracts/ids.ts';
import { isTerminal } from '../../contracts/run.ts';
import { makeChange } from '../change.ts';
import { findRun, runOfToken } from '../runs/commands.ts';
import type { Services } from '../services.ts';
import { newOperatorKey, parseActingRun, parseAuthorization, tokenSha256, type Principal } from './rules.ts';
import { findOperatorKey, insertOperatorKey, lockAndCountOperatorKeys } from './store.ts';

/**
 * Who the header's token belongs to; `undefined` for none that is valid now. `actingRun` is the value of `Sallyport-Run`, by which a
 * proxy, and nobody else, speaks for the agent of a run: it then is that agent and nothing more. Throws `forbidden`, `bad_request`,
 * `unknown_run`, `run_ended` or `stale_epoch`.
 */
export async function principalOf(services: Services, authorization: string, actingRun?: string): Promise<Principal | undefined> {
  const claimed = parseAuthorization(authorization);
  if (claimed === undefined) return undefined;
  if (actingRun !== undefined && claimed.kind !== 'proxy') throw onlyProxies();
  const sha256 = tokenSha256(claimed.token);
  switch (claimed.kind) {
    case 'operator': {
      const key = await findOperatorKey(services.database.kysely, sha256);
      return key && { kind: 'operator', id: key.key_id, local: false };
    }
    case 'agent': {
      const run_id = await runOfToken(services.database.kysely, sha256);
      return run_id === undefined ? undefined : { kind: 'agent', id: run_id, run_id };
    }
    case 'proxy':
      if (!timingSafeEqual(Buffer.from(sha256, 'hex'), Buffer.from(services.proxyTokenSha256, 'hex'))) return undefined;
      return actingRun === undefined ? { kind: 'proxy', id: 'proxy' } : await agentOf(services, actingRun);
  }
}

export function onlyProxies(): SallyportError {
  return new SallyportError('forbidden', 'Only a proxy may say with Sallyport-Run for which run it asks.');
}

async function agentOf(services: Services, actingRun: string): Promise<Principal> {
  const said = parseActingRun(actingRun);
  if (said === undefined) throw new SallyportError('bad_request', 'Sallyport-Run is not RUN_ID;epoch=N.');
  const { run_id, epoch } = said;
  const run = await findRun(services.database.kysely, run_id);
  if (run === undefined) throw new SallyportError('unknown_run', `There is no run ${run_id}.`);
  if (isTerminal(run.state)) throw new SallyportError('run_ended', `Run ${run_id} has ended.`);
  if (run.epoch !== epoch) throw new SallyportError('stale_epoch', `Run ${run_id} has been started anew since.`);
  return { kind: 'agent', id: run_id, run_id };
}

/** An API on TCP that nobody has a key for could not be used: makes the first one. Gives it only this once. */
export async function ensureOperatorKey(services: Services): Promise<string | undefined> {
  const token = newOperatorKey(services.random);
  return await makeChange(services, async (change) => {
    if (await lockAndCountOperatorKeys(change.trx) > 0) return undefined;
    const key_id = newId('key', change.at);
    await insertOperatorKey(change.trx, { key_id, sha256: tokenSha256(token), created_at: change.at });
    change.record({ type: 'key.created', actor: { kind: 'system', id: 'access' }, facts: { key_id, kind: 'operator' }, payload: {} });
    return token;
  });
}
