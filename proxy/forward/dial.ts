import { isIP, type Socket } from 'node:net';
import type { Clock, Timer } from '../../contracts/clock.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { PermittedAddress } from '../enforce/permit.ts';
import { upstreamFailure } from './failures.ts';
import type { ForwardLimits } from './limits.ts';

export interface Dialling<T> {
  /** Rejects with a `SallyportError` of an `upstream_*` code, or `overloaded`. Never settles once cancelled. */
  readonly connected: Promise<T>;
  readonly cancel: () => void;
}

/**
 * Happy eyeballs over the addresses of a permit and no other (RFC 8305, simplified): in the order given, the next one when one fails
 * or takes longer than the stagger. `open` starts one connection.
 */
export function dial<T extends { readonly socket: Socket }>(
  permit: { readonly addresses: readonly PermittedAddress[]; readonly host: string; readonly port: number },
  open: (address: string, port: number) => T,
  clock: Clock,
  limits: ForwardLimits,
): Dialling<T> {
  const addresses = permit.addresses.slice(0, limits.addresses);
  const where = `${permit.host}:${permit.port}`;
  const opened = new Set<T>();
  const timers: Timer[] = [];
  let next = 0;
  let failed = 0;
  let over = false;
  let lastError: NodeJS.ErrnoException | undefined;

  const end = (winner: T | undefined): void => {
    over = true;
    for (const timer of timers) timer.cancel();
    for (const one of opened) if (one !== winner) one.socket.destroy();
  };

  const connected = new Promise<T>((resolve, reject) => {
    const fail = (error: SallyportError): void => {
      end(undefined);
      reject(error);
    };
    const tryNext = (): void => {
      const address = addresses[next++]?.address;
      if (over || address === undefined) return;
      // A name here would be resolved behind the back of the decision.
      if (isIP(address) === 0) return fail(new SallyportError('internal', 'A permit names something that is not an address.'));
      const one = open(address, permit.port);
      opened.add(one);
      one.socket.once('connect', () => {
        if (over) return;
        end(one);
        resolve(one);
      });
      one.socket.once('error', (error: NodeJS.ErrnoException) => { lastError = error; });
      one.socket.once('close', () => {
        if (over) return;
        failed++;
        if (failed === addresses.length) fail(upstreamFailure(lastError, where));
        else if (failed === opened.size) tryNext();
      });
      if (next < addresses.length) timers.push(clock.setTimeout(tryNext, limits.stagger_ms));
    };
    if (addresses.length === 0) return fail(new SallyportError('internal', 'A permit without addresses can\'t be dialled.'));
    timers.push(clock.setTimeout(() => fail(new SallyportError('upstream_timeout', `${where} did not take the connection within ${limits.connect_ms} ms.`)), limits.connect_ms));
    tryNext();
  });
  return { connected, cancel: () => end(undefined) };
}
