import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { linkSocket } from '../data-folder-paths.ts';
import type { LinkMessage } from './messages.ts';

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
  const server = createServer((socket) => {
    sockets.add(socket);
    handlers.changed();
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text = (text + chunk).slice(0, longestLine);
      if (text.includes('\n') && text.startsWith('{"type":"stop"}')) handlers.stop();
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
