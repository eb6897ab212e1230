import { once, type EventEmitter } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** Milliseconds for the test file that listens there now to end. */
const longestWait = 90_000;

interface Listening extends EventEmitter {
  address(): AddressInfo | string | null;
}

/**
 * Listens, and gives the port. There is one metadata address in the world and test files run at the same time: one that is taken
 * is waited for, so whoever holds a canary there sees its own test's contacts only.
 */
export async function listen(server: Listening, start: () => void): Promise<number> {
  const end = performance.now() + longestWait;
  for (;;) {
    const outcome = Promise.race([once(server, 'listening'), once(server, 'error').then(([error]) => { throw error; })]);
    start();
    try {
      await outcome;
      const bound = server.address();
      if (bound === null || typeof bound === 'string') throw new Error('A listener without a port.');
      return bound.port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || performance.now() > end) throw error;
      await pause(50);
    }
  }
}
