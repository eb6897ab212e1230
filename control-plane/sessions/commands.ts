import { SallyportError } from '../../contracts/errors.ts';
import type { Actor } from '../../contracts/event.ts';
import { newId } from '../../contracts/ids.ts';
import type { Change } from '../change.ts';
import { insertSession, lockSession } from './store.ts';

export async function createSession(change: Change, actor: Actor): Promise<string> {
  const session_id = newId('session', change.at);
  await insertSession(change.trx, { session_id, created_at: change.at });
  change.record({ type: 'session.created', actor, session_id, facts: { session_id }, payload: {} });
  return session_id;
}

/**
 * Orders all that starts and ends runs of one session: without it, a run could queue up behind one that has just ended, and
 * nobody would activate it. Taken before any of its runs is locked. Throws `not_found`.
 */
export async function holdSession(change: Change, session_id: string): Promise<void> {
  if (!await lockSession(change.trx, session_id, false)) throw new SallyportError('not_found', `There is no session ${session_id}.`);
}

/** The same for a loop, which leaves alone what somebody else is working on. */
export async function tryHoldSession(change: Change, session_id: string): Promise<boolean> {
  return await lockSession(change.trx, session_id, true);
}
