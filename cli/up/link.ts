import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { linkSocket } from '../data-folder-paths.ts';
import { localProblem } from '../failure.ts';
import type { LinkMessage, LinkRequest } from './messages.ts';

/** Runs, and commands that wait, at once. */
const mostLinks = 1024;
const longestLine = 1024;

export interface LinkServer {
  /** How many others hold on to this `up`. */
  readonly held: number;
  /** Tells all that are connected, and each that connects later. */
  tell(message: LinkMessage): void;
  close(): void;
}

export interface LinkHandlers {
  /** Somebody asked for the end. */
  stop(): void;
  /** `held` has changed. */
  changed(): void;
  replaceWorkers(drainMs: number): Promise<number>;
}

/**
 * The supervisor's own socket. A connection is a hold: while there is one, an `up` that a run started stays. `stop` ends it, and
 * the end of the connection says that the end has come. Only the owner of the folder's lock may call this.
 */
export async function serveLinks(folder: string, handlers: LinkHandlers): Promise<LinkServer> {
  const path = linkSocket(folder);
  // Left behind by a killed predecessor; the lock says that nobody listens there.
  rmSync(path, { force: true });
  const sockets = new Set<Socket>();
  const told: LinkMessage[] = [{ type: 'hello', pid: process.pid }];
  const replace = async (socket: Socket, drainMs: number): Promise<void> => {
    const answer: LinkMessage = await handlers.replaceWorkers(drainMs).then(
      (workers) => ({ type: 'replaced', workers }), (error: unknown) => ({ type: 'not_replaced', problem: localProblem(error) }));
    socket.write(`${JSON.stringify(answer)}\n`);
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    handlers.changed();
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text = (text + chunk).slice(0, longestLine);
      if (!text.includes('\n')) return;
      const asked = parseRequest(text.slice(0, text.indexOf('\n')));
      text = '';
      if (asked?.type === 'stop') handlers.stop();
      if (asked?.type === 'replace_workers') void replace(socket, asked.drain_ms);
    });
    socket.on('error', () => { /* Its close follows. */ });
    socket.on('close', () => {
      sockets.delete(socket);
      handlers.changed();
    });
    for (const message of told) socket.write(`${JSON.stringify(message)}\n`);
  });
  server.maxConnections = mostLinks;
  server.listen(path);
  await once(server, 'listening');
  chmodSync(path, 0o600);
  return {
    get held() { return sockets.size; },
    tell(message) {
      told.push(message);
      for (const socket of sockets) socket.write(`${JSON.stringify(message)}\n`);
    },
    close() {
      server.close();
      rmSync(path, { force: true });
      for (const socket of sockets) socket.destroySoon();
    },
  };
}

/** From our own commands; anything else is nobody's. */
function parseRequest(line: string): LinkRequest | undefined {
  try {
    return JSON.parse(line) as LinkRequest;
  } catch {
    return undefined;
  }
}
