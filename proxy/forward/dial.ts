import type { Clock, Timer } from '../../contracts/clock.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { formatAuthority } from '../../contracts/host.ts';
import type { PermittedAddress } from '../enforce/permit.ts';
import { attemptsOf, type Attempt } from './attempts.ts';
import { upstreamFailure } from './failures.ts';
import type { ForwardLimits } from './limits.ts';
import { askForConnection, type Readable } from './upstream-connect.ts';

export interface Dialling<T> {
  /** Rejects with a `SallyportError` of an `upstream_*` code, or `overloaded`. Never settles once cancelled. */
  readonly connected: Promise<T>;
  readonly cancel: () => void;
}

/** Starts one connection: a socket to `connect_to` that counts as one to `address`. */
export type Open<T extends Readable> = (address: string, connect_to: Attempt['connect_to']) => T;

/**
 * Happy eyeballs over the addresses of a permit and no other (RFC 8305): families in turn, the next attempt when the one before failed
 * or takes longer than the stagger. Through an upstream proxy the attempt is over when the proxy has connected; what the other side said
 * by then is given to `read` once whoever awaits `connected` has gone on.
 */
export function dial<T extends Readable>(
  permit: { readonly addresses: readonly PermittedAddress[]; readonly host: string; readonly port: number },
  open: Open<T>,
  clock: Clock,
  limits: ForwardLimits,
): Dialling<T> {
  const where = `${permit.host}:${permit.port}`;
  const opened = new Set<T>();
  let overall: Timer | undefined;
  let stagger: Timer | undefined;
  let next = 0;
  let failed = 0;
  let over = false;
  let lastError: SallyportError | undefined;

  const end = (winner: T | undefined): void => {
    over = true;
    overall?.cancel();
    stagger?.cancel();
    for (const one of opened) if (one !== winner) one.socket.destroy();
  };

  const connected = new Promise<T>((resolve, reject) => {
    const fail = (error: SallyportError): void => {
      end(undefined);
      reject(error);
    };
    const attempts = attemptsOf(permit, limits.addresses);
    const win = (one: T, onError: (error: Error) => void, onClose: () => void, rest?: Buffer): void => {
      end(one);
      // A tunnel may live for hours, and would keep all that is here.
      one.socket.off('error', onError).off('close', onClose);
      resolve(one);
      // A microtask after those of whoever awaits us, and before the socket is read again.
      if (rest !== undefined && rest.length > 0) queueMicrotask(() => { one.read(rest); });
    };
    const tryNext = (): void => {
      stagger?.cancel();
      const attempt = attempts[next++];
      if (over || attempt === undefined) return;
      const position = next;
      const { address, connect_to, via } = attempt;
      const one = open(address, connect_to);
      opened.add(one);
      let problem: SallyportError | undefined;
      one.socket.once('connect', () => {
        if (over) return;
        if (via === undefined) return win(one, onError, onClose);
        askForConnection(one, via, formatAuthority(address, permit.port), (rest) => { if (!over) win(one, onError, onClose, rest); }, (error) => {
          problem = error;
          one.socket.destroy();
        });
      });
      const onError = (error: NodeJS.ErrnoException): void => { problem ??= upstreamFailure(error, placeOf(attempt, where)); };
      const onClose = (): void => {
        if (over) return;
        failed++;
        lastError = inWordsOf(attempt, problem ?? upstreamFailure(undefined, placeOf(attempt, where)));
        if (failed === attempts.length) fail(lastError);
        // An older one that fails later changes nothing: the newest has its own time.
        else if (position === next) tryNext();
      };
      one.socket.once('error', onError).once('close', onClose);
      if (next < attempts.length) stagger = clock.setTimeout(tryNext, limits.stagger_ms);
    };
    overall = clock.setTimeout(() => {
      const by = attempts[0]?.via;
      fail(new SallyportError('upstream_timeout', by === undefined
        ? `${where} did not take the connection within ${limits.connect_ms} ms.`
        : `The upstream proxy ${by.name} did not connect to ${where} within ${limits.connect_ms} ms.`, by === undefined ? {} : { next_steps: stepsByProxy }));
    }, limits.connect_ms);
    tryNext();
  });
  return { connected, cancel: () => end(undefined) };
}

/** The catalogue's steps speak of the other side alone. */
const stepsByProxy: readonly string[] = ['Check the host and the port; if they are right, the operator should look at the upstream proxy.'];

function inWordsOf({ via }: Attempt, problem: SallyportError): SallyportError {
  return via === undefined || problem.code === 'overloaded' ? problem : new SallyportError(problem.code, problem.message, { cause: problem, next_steps: stepsByProxy });
}

function placeOf({ via }: Attempt, where: string): string {
  return via === undefined ? where : `The upstream proxy ${via.name}`;
}
