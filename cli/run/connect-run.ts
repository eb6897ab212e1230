import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '../../contracts/clock.ts';
import { isRunSocketName } from '../../contracts/run-socket.ts';
import { connectLocal } from '../api-client.ts';
import { runSocketFolder } from '../data-folder-paths.ts';

/** Makes a connection to the run's listener; `undefined` when there is none, or the signal says that nobody wants it any more. */
export type ConnectRun = (unwanted: AbortSignal) => Promise<Socket | undefined>;

/** A worker that died is back within this time, a replaced one sooner. Milliseconds. */
const patienceMs = 10_000;
const retryMs = 25;

/**
 * Each worker serves the run by a socket of its own: takes any, by lot, and the next when that one is away for the moment. With a single
 * worker that is being restarted the connection waits, as it would in the queue of a TCP listener.
 */
export function connectRun(folder: string, shortId: string, clock: Clock, patience: number = patienceMs): ConnectRun {
  return async (unwanted) => {
    const end = clock.monotonic() + patience;
    while (!unwanted.aborted) {
      for (const path of shuffled(socketsOf(folder, shortId))) {
        const socket = await connected(path);
        if (socket !== undefined) return socket;
        if (unwanted.aborted) return undefined;
      }
      if (clock.monotonic() > end) return undefined;
      await new Promise<void>((resolve) => { clock.setTimeout(resolve, retryMs); });
    }
    return undefined;
  };
}

function socketsOf(folder: string, shortId: string): string[] {
  try {
    return readdirSync(runSocketFolder(folder)).filter((name) => isRunSocketName(name, shortId)).map((name) => join(runSocketFolder(folder), name));
  } catch {
    return []; // Not made yet: the first worker is just starting.
  }
}

function shuffled(paths: string[]): string[] {
  const first = Math.floor(Math.random() * paths.length);
  return [...paths.slice(first), ...paths.slice(0, first)];
}

function connected(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connectLocal(path);
    const failed = (): void => resolve(undefined);
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.off('error', failed);
      resolve(socket);
    });
  });
}
