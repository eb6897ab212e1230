import { connect, type Socket } from 'node:net';
import type { Lifetime } from './lifetime.ts';
import { startLocalServer } from './proxy-worker.ts';

export interface UpstreamProxyOptions {
  /** The whole answer to a CONNECT; without it the connection is made, to `origin`, whatever was asked for. */
  readonly answer?: string;
  /** A port on loopback. */
  readonly origin?: number;
  /** Bytes of the other side that come in one piece with the answer. */
  readonly early?: string;
}

export interface FakeUpstreamProxy {
  readonly port: number;
  /** Heads of the CONNECTs, as they came. */
  readonly asked: readonly string[];
}

/** A corporate proxy on loopback: it says what it was asked for, and connects to one origin. */
export async function startUpstreamProxy(lifetime: Lifetime, { answer, origin, early = '' }: UpstreamProxyOptions = {}): Promise<FakeUpstreamProxy> {
  const asked: string[] = [];
  const { port } = await startLocalServer(lifetime, (socket) => {
    let head = '';
    const read = (chunk: Buffer): void => {
      head += chunk.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.removeListener('data', read);
      asked.push(head);
      if (answer !== undefined) socket.end(answer, 'latin1');
      else if (origin === undefined) socket.write(`HTTP/1.1 200 Connection established\r\nContent-Length: 7\r\n\r\n${early}`);
      else join(socket, origin, early);
    };
    socket.on('data', read);
  });
  return { port, asked };
}

function join(socket: Socket, origin: number, early: string): void {
  const other = connect(origin, '127.0.0.1', () => {
    socket.write(`HTTP/1.1 200 OK\r\n\r\n${early}`);
    socket.pipe(other);
    other.pipe(socket);
  });
  other.on('error', () => socket.destroy());
  socket.on('close', () => other.destroy());
}
