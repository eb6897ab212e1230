import type { Socket } from 'node:net';
import { connectLocal } from '../api-client.ts';

/** Connections of one jail at once; more wait in the listener's queue, as they would at any busy server. */
const mostConnections = 512;

export interface Relay {
  /** Takes a connection that the jail's listener accepted. */
  accept(client: Socket): void;
  /** Ends all of them. */
  close(): void;
}

/**
 * Carries the jail's connections to the run's own socket, on the host side: bytes only, nothing is read from them. Each direction
 * ends by itself (half-close), a slow reader slows the writer, and what breaks on one side breaks on the other.
 */
export function createRelay(runSocket: string): Relay {
  const pairs = new Set<readonly [Socket, Socket]>();
  let closed = false;
  return {
    accept(client) {
      if (closed || pairs.size >= mostConnections) {
        client.destroy();
        return;
      }
      const upstream = connectLocal(runSocket);
      const pair = [client, upstream] as const;
      pairs.add(pair);
      let open = 2;
      for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
        from.on('error', () => { /* Its close follows. */ });
        from.on('close', (failed) => {
          if (--open === 0) pairs.delete(pair);
          // A reset must not look like an orderly end of the bytes. Without one, whatever is still on its way is let through.
          if (failed) abort(to);
          else if (!from.readableEnded) to.destroy();
          else if (!to.writableEnded) to.end();
        });
        from.pipe(to);
      }
    },
    close() {
      closed = true;
      for (const [client, upstream] of pairs) {
        client.destroy();
        upstream.destroy();
      }
    },
  };
}

function abort(socket: Socket): void {
  if (socket.remoteFamily === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
