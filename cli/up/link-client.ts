import { connect, type Socket } from 'node:net';
import { linkSocket } from '../data-folder-paths.ts';
import type { Addresses, LinkMessage } from './messages.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { fromProblem } from '../api-client.ts';

/** A hold on a running `up`. */
export interface Link {
  readonly pid: number;
  /** What became of its start. */
  readonly state: Promise<LinkState>;
  /** Settles when it is stopping, or gone. */
  readonly ended: Promise<void>;
  askToStop(): void;
  /** Lets go. */
  close(): void;
}

export type LinkState =
  | { readonly kind: 'ready'; readonly addresses: Addresses }
  | { readonly kind: 'failed'; readonly error: SallyportError }
  | { readonly kind: 'gone' };

/** A supervisor that is alive but frozen must not freeze everybody else. Milliseconds to its greeting. */
const greetWithin = 5000;

/** Connects to the `up` that owns the folder; `undefined` when none listens. */
export function openLink(folder: string): Promise<Link | undefined> {
  return new Promise((resolve) => {
    const socket = connect(linkSocket(folder));
    const state = Promise.withResolvers<LinkState>();
    const ended = Promise.withResolvers<void>();
    socket.setTimeout(greetWithin, () => socket.destroy());
    onMessage(socket, (message) => {
      if (message.type === 'hello') {
        socket.setTimeout(0);
        resolve(asLink(socket, message.pid, state.promise, ended.promise));
      } else if (message.type === 'ready') state.resolve({ kind: 'ready', addresses: message.addresses });
      else if (message.type === 'failed') state.resolve({ kind: 'failed', error: fromProblem(message.problem, 'up could not start.') });
      else if (message.type === 'stopping') ended.resolve();
    });
    socket.on('error', () => { /* Its close follows. */ });
    socket.on('close', () => {
      state.resolve({ kind: 'gone' });
      ended.resolve();
      resolve(undefined);
    });
  });
}

/** Each message is one line of JSON. */
function onMessage(socket: Socket, heard: (message: LinkMessage) => void): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) heard(JSON.parse(line) as LinkMessage);
  });
}

function asLink(socket: Socket, pid: number, state: Promise<LinkState>, ended: Promise<void>): Link {
  return {
    pid, state, ended,
    askToStop: () => { socket.write('{"type":"stop"}\n'); },
    close: () => { socket.destroy(); },
  };
}

/** Settles when all workers are replaced, with their number; `undefined` where nothing runs. Throws what kept it. */
export async function replaceWorkers(folder: string, drainMs: number): Promise<number | undefined> {
  const socket = connect(linkSocket(folder));
  return await new Promise((resolve, reject) => {
    let greeted = false;
    socket.on('error', () => { /* Its close follows. */ });
    onMessage(socket, (message) => {
      if (message.type === 'hello') {
        greeted = true;
        socket.write(`${JSON.stringify({ type: 'replace_workers', drain_ms: drainMs })}\n`);
      } else if (message.type === 'replaced') resolve(message.workers);
      else if (message.type === 'not_replaced') reject(fromProblem(message.problem, 'The workers could not be replaced.'));
      if (message.type === 'replaced' || message.type === 'not_replaced') socket.destroy();
    });
    socket.on('close', () => {
      if (greeted) reject(new SallyportError('control_plane_unreachable', 'Sallyport ended before its workers were replaced.'));
      else resolve(undefined);
    });
  });
}

/** Settles when the connection is over: the supervisor has ended everything. */
export async function stopAndWait(folder: string): Promise<{ readonly pid: number } | undefined> {
  const socket = connect(linkSocket(folder));
  return await new Promise((resolve) => {
    let pid: number | undefined;
    socket.setEncoding('utf8');
    socket.on('error', () => { /* Its close follows. */ });
    socket.once('data', (chunk: string) => {
      pid = (JSON.parse(chunk.split('\n')[0] ?? '') as { readonly pid: number }).pid;
      socket.write('{"type":"stop"}\n');
    });
    socket.once('connect', () => socket.resume());
    socket.on('close', () => resolve(pid === undefined ? undefined : { pid }));
  });
}
