import { timingSafeEqual } from 'node:crypto';
import { newId } from '../../contracts/ids.ts';
import { makeChange } from '../change.ts';
import { runOfToken } from '../runs/commands.ts';
import type { Services } from '../services.ts';
import { newOperatorKey, parseAuthorization, tokenSha256, type Principal } from './rules.ts';
import { findOperatorKey, insertOperatorKey, lockAndCountOperatorKeys } from './store.ts';

/** Who the header's token belongs to; `undefined` for none that is valid now. */
export async function principalOf(services: Services, authorization: string): Promise<Principal | undefined> {
  const claimed = parseAuthorization(authorization);
  if (claimed === undefined) return undefined;
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
      return timingSafeEqual(Buffer.from(sha256, 'hex'), Buffer.from(services.proxyTokenSha256, 'hex')) ? { kind: 'proxy', id: 'proxy' } : undefined;
  }
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
