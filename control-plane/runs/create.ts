import type { AgentCommand } from '../../contracts/agents.ts';
import type { JsonObject } from '../../contracts/json.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { newId } from '../../contracts/ids.ts';
import { leaseMs, type CreateRun } from '../../contracts/run-api.ts';
import { newAgentToken, tokenSha256, type Principal } from '../access/rules.ts';
import { addAgent } from '../agents/commands.ts';
import { openBudget } from '../budgets/commands.ts';
import { makeChange, type Change } from '../change.ts';
import { nextVersion } from '../proxies/versions.ts';
import type { Services } from '../services.ts';
import { createSession, holdSession } from '../sessions/commands.ts';
import { mistake, openAnswer, sealAnswer, type IdempotencyKey } from './idempotency.ts';
import { absoluteDeadline, actorOf, deadlineAt, limitsOf, policyOf, type Run } from './rules.ts';
import { claimIdempotencyKey, insertRun, selectIdempotencyKey, setIdempotentAnswer } from './store.ts';

/** What is known only to who created the run. */
export interface Creation {
  readonly run_id: string;
  readonly agent_token: string;
  readonly correlation_id: string;
  /** Of the run's snapshot. */
  readonly version: number;
}

export interface CreateRequest {
  readonly input: CreateRun;
  readonly principal: Principal;
  readonly correlation_id: string;
  readonly key?: IdempotencyKey | undefined;
}

/** Creates a run and, where none is named, its session. Throws `session_busy`, `not_found` (session) or `invalid_request`. */
export async function createRun(services: Services, request: CreateRequest): Promise<Creation> {
  return await makeChange(services, async (change) => {
    const { key } = request;
    if (key === undefined) return await createInChange(services, change, request);
    const { key_sha256, request_sha256 } = key;
    if (await claimIdempotencyKey(change.trx, { key_sha256, request_sha256, created_at: change.at })) {
      const creation = await createInChange(services, change, request);
      await setIdempotentAnswer(change.trx, key_sha256, sealAnswer(key, creation, services.random));
      return creation;
    }
    const earlier = await selectIdempotencyKey(change.trx, key_sha256);
    if (earlier?.request_sha256 !== request_sha256) throw mistake('was used for another request');
    return openAnswer(key, earlier.answer) as Creation;
  });
}

async function createInChange(services: Services, change: Change, request: CreateRequest): Promise<Creation> {
  const { input, principal, correlation_id } = request;
  const actor = actorOf(principal);
  const session_id = input.session_id ?? await createSession(change, actor);
  if (input.session_id !== undefined) await holdSession(change, session_id);

  const epoch = 1;
  const agent_token = newAgentToken(epoch, services.random);
  const limits = limitsOf(input);
  const deadline = absoluteDeadline(input, change.at);
  const policy = policyOf(input);
  const active: Run = {
    run_id: newId('run', change.at),
    session_id,
    short_id: services.random(8).toString('hex'),
    goal: input.goal,
    agent: input.agent ?? 'agent',
    channel: input.channel,
    state: 'Active',
    reason: undefined,
    epoch,
    token_sha256: tokenSha256(agent_token),
    created_at: change.at,
    started_at: change.at,
    ended_at: undefined,
    deadline_at: deadlineAt(deadline, limits, change.at),
    absolute_deadline_at: deadline,
    lease_expires_at: change.at + leaseMs,
    exit_code: undefined,
    policy,
    labels: input.labels ?? {},
    limits,
    version: await nextVersion(change),
  };
  const queued: Run = { ...active, state: 'Queued', reason: 'another run of the session is active', started_at: undefined, deadline_at: deadline };
  const inserted = await insertRun(change.trx, active);
  if (!inserted && input.queue !== true) throw new SallyportError('session_busy', `Session ${session_id} already has an active run.`);
  if (!inserted) await insertRun(change.trx, queued);
  const run = inserted ? active : queued;
  await openBudget(change, run.run_id, limits);
  if (input.command !== undefined) await addAgent(change, { run_id: run.run_id, epoch, command: input.command, active: inserted });
  change.record({
    type: 'run.created',
    actor,
    session_id,
    run_id: run.run_id,
    facts: { state: run.state, epoch, channel: run.channel, limits: limits as JsonObject, deadline_at: run.deadline_at },
    payload: { goal: run.goal, agent: run.agent, policy: policy as unknown as JsonObject, labels: run.labels, correlation_id, ...input.command && { command: described(input.command) } },
  });
  change.signal(`run:${run.run_id}`);
  return { run_id: run.run_id, agent_token, correlation_id, version: run.version };
}

/** Variables by name only: their values may be secrets. */
function described({ argv, work, env, give_work }: AgentCommand): JsonObject {
  return { argv, work, give_work, variables: Object.keys(env) };
}
