import type { ChildProcess } from 'node:child_process';
import { createServer, Server, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { Clock } from '../../contracts/clock.ts';
import { isBootFailure, launchFailure } from './failure.ts';
import { isWitness, type Witness } from './witness.ts';

/** From spawn to the boot script's word. It takes about 70 ms; a stalled machine takes longer. */
const deadlineMs = 20_000;
/** Of what is said on standard error before the agent begins. */
const longestComplaint = 8 * 1024;

export interface Arrival {
  readonly witness: Witness;
  readonly server: Server;
}

/**
 * The boot script's first and only message: what it sees, and the listening socket. Rejects with `jail_unavailable` when the jail
 * ends, or says something else, or nothing.
 */
export function awaitBoot(child: ChildProcess, stderr: Readable, clock: Clock): Promise<Arrival> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      timer.cancel();
      child.off('message', onMessage).off('exit', onExit).off('error', onError);
      act();
    };
    const onMessage = (message: unknown, handle: unknown): void => settle(() => {
      if (isWitness(message) && handle instanceof Server) resolve({ witness: message, server: handle });
      else reject(launchFailure('The boot script said something unexpected.', undefined));
    });
    const onExit = (code: number | null, signal: NodeJS.Signals | null): void => settle(() => {
      void readComplaint(stderr).then((said) => reject(launchFailure(said, { code, signal })));
    });
    const onError = (error: Error): void => settle(() => reject(launchFailure(error.message, undefined)));
    const timer = clock.setTimeout(() => settle(() => reject(launchFailure('', undefined))), deadlineMs);
    child.on('message', onMessage).on('exit', onExit).on('error', onError);
  });
}

/** All that was said: every writer is gone, so the end is near. */
async function readComplaint(stderr: Readable): Promise<string> {
  let said = '';
  try {
    for await (const chunk of stderr) {
      said += String(chunk);
      if (said.length > longestComplaint) break;
    }
  } catch {
    // What was read so far has to do.
  }
  return said;
}

/**
 * A server of our own on the same socket: one that came through a channel knows no options. Half-open, because a client may end
 * its side of a tunnel first and still read.
 */
export function adoptListener(received: Server, onConnection: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, onConnection);
    server.once('error', reject).listen(received, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}

/**
 * Gives the order to begin; settles when the boot script has let go of its channel, which is its last act before it becomes the
 * agent, or with the end of an agent so short that its end is heard of first.
 */
export function beginAgent(child: ChildProcess, order: { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> }, stderr: Readable): Promise<void> {
  return new Promise((resolve, reject) => {
    const onDisconnect = (): void => {
      child.off('exit', onExit);
      resolve();
    };
    const onExit = (code: number | null, signal: NodeJS.Signals | null): void => {
      child.off('disconnect', onDisconnect);
      if (signal === null && !isBootFailure(code)) resolve();
      else void readComplaint(stderr).then((said) => reject(launchFailure(said, { code, signal })));
    };
    child.once('exit', onExit).once('disconnect', onDisconnect);
    child.send(order, (error) => {
      if (error !== null) reject(launchFailure(error.message, undefined));
    });
  });
}
