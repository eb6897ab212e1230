import type { Socket } from 'node:net';
import type { ConnectRun } from './connect-run.ts';

/** Connections of one jail at once; one more is closed. */
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
export function createRelay(connect: ConnectRun): Relay {
  /** Of each connection, what ends it whole. */
  const open = new Set<() => void>();
  let closed = false;

  const carry = async (client: Socket): Promise<void> => {
    const gone = new AbortController();
    const leave = (): void => gone.abort();
    client.on('error', () => { /* Its close follows. */ });
    client.once('close', leave);
    let end = leave;
    open.add(end);
    const upstream = await connect(gone.signal);
    open.delete(end);
    client.off('close', leave);
    if (closed || client.destroyed || upstream === undefined) {
      upstream?.destroy();
      if (!client.destroyed) abort(client);
      return;
    }
    end = () => {
      client.destroy();
      upstream.destroy();
    };
    open.add(end);
    let left = 2;
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      from.on('error', () => { /* As above. */ });
      from.on('close', (failed) => {
        if (--left === 0) open.delete(end);
        // A reset must not look like an orderly end of the bytes. Without one, whatever is still on its way is let through.
        if (failed) abort(to);
        else if (!from.readableEnded) to.destroy();
        else if (!to.writableEnded) to.end();
      });
      from.pipe(to);
    }
  };

  return {
    accept(client) {
      if (closed || open.size >= mostConnections) client.destroy();
      else void carry(client);
    },
    close() {
      closed = true;
      for (const end of open) end();
    },
  };
}

function abort(socket: Socket): void {
  if (socket.remoteFamily === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
