import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Middleware } from 'koa';
import { onlyProxies, principalOf } from '../access/commands.ts';
import type { PrincipalKind } from '../access/rules.ts';
import { parseAuthority } from '../../contracts/host.ts';
import { classifyAddress } from '../../contracts/addresses.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { Services } from '../services.ts';
import type { Context, State } from './context.ts';
import { FailureLimit } from './failure-limit.ts';

/**
 * Connections of the 0600 socket in the 0700 data folder. A set of them, not the absence of a remote address: that is absent as well
 * on a TCP connection which the client has just closed.
 */
const localConnections = new WeakSet<Socket>();

export function markLocal(socket: Socket): void {
  localConnections.add(socket);
}

/**
 * Puts the principal on the request. With a header, its token alone decides; without one, only the local socket's callers are
 * somebody: the local operator. Whoever keeps failing is told to wait (`rate_limited`); guessing 256 bits is hopeless at any rate.
 */
export function authentication(services: Services): Middleware<State> {
  const failures = new FailureLimit(services.clock);
  return async (ctx, next) => {
    ctx.state.principal = await identify(services, failures, ctx.req);
    await next();
  };
}

async function identify(services: Services, failures: FailureLimit, req: IncomingMessage): Promise<State['principal']> {
  const local = localConnections.has(req.socket);
  const header = req.headers.authorization;
  const actingRun = actingRunOf(req);
  // A proxy whose own credentials got lost on the way must not become the local operator.
  if (header === undefined && actingRun !== undefined) throw onlyProxies();
  if (header === undefined && local) return { kind: 'operator', id: 'local', local: true };
  const principal = header === undefined ? undefined : await principalOf(services, header, actingRun);
  // Whoever has the right credentials is never held up by others who share the address or the socket, and guess.
  if (principal !== undefined) return principal;
  const from = local ? 'local' : req.socket.remoteAddress ?? 'unknown';
  if (!failures.mayTry(from)) throw new SallyportError('rate_limited', 'Too many wrong credentials came from this address.', { retry_after: failures.seconds });
  failures.failed(from);
  throw new SallyportError('unauthenticated', header === undefined ? 'There is no Authorization header.' : 'These credentials are not known here, or not valid any more.');
}

/** Two of them are one that can't be parsed. */
function actingRunOf({ headersDistinct }: IncomingMessage): string | undefined {
  return headersDistinct['sallyport-run']?.join(', ');
}

/**
 * Who may read the metrics: operators, and whoever is on this machine. What was passed on by somebody comes from elsewhere, so it
 * needs a key as well. Throws `unauthenticated`, `forbidden` or `rate_limited`.
 */
export function metricsAccess(services: Services): (req: IncomingMessage) => Promise<void> {
  const failures = new FailureLimit(services.clock);
  return async (req) => {
    if (req.headers.authorization === undefined && isNear(req)) return;
    const { kind } = await identify(services, failures, req);
    if (kind !== 'operator') throw new SallyportError('forbidden', 'Metrics are for operators.');
  };
}

const passedOn = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via', 'sallyport-run'] as const;

function isNear({ socket, headers }: IncomingMessage): boolean {
  if (passedOn.some((name) => headers[name] !== undefined)) return false;
  if (localConnections.has(socket)) return true;
  // A browser on this machine comes from loopback too, with the name of whatever page had it look that name up anew (DNS rebinding).
  return isLoopback(socket.remoteAddress?.replace(/^::ffff:/, '') ?? '') && isLoopbackHost(headers.host ?? '');
}

function isLoopback(address: string): boolean {
  return classifyAddress(address)?.address_class === 'loopback';
}

function isLoopbackHost(host: string): boolean {
  const authority = parseAuthority(host, 80);
  return authority.ok && (authority.host === 'localhost' || isLoopback(authority.host));
}

/** Throws `forbidden` unless the caller is of one of these kinds. */
export function allow(ctx: Context, ...kinds: readonly PrincipalKind[]): State['principal'] {
  const { principal } = ctx.state;
  if (!kinds.includes(principal.kind)) throw new SallyportError('forbidden', `This is not for ${principal.kind === 'agent' ? 'an agent' : `a ${principal.kind}`}.`);
  return principal;
}

/** For routes of one run: an agent may only act on its own, and learns nothing of others. */
export function allowRun(ctx: Context, run_id: string): State['principal'] {
  const principal = allow(ctx, 'operator', 'agent');
  if (principal.kind === 'agent' && principal.run_id !== run_id) throw new SallyportError('forbidden', 'An agent may act only on its own run.');
  return principal;
}
