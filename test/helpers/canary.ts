import { createSocket } from 'node:dgram';
import { createServer, isIPv6 } from 'node:net';
import type { Lifetime } from './lifetime.ts';
import { listen } from './listen.ts';

export interface Contact {
  readonly transport: 'tcp' | 'udp';
  readonly from: string;
  /** The first bytes that came; empty for a connection that sent nothing. */
  bytes(): Buffer;
}

/** Listens where nobody may ever come. */
export interface Canary {
  readonly address: string;
  readonly port: number;
  readonly contacts: readonly Contact[];
}

/**
 * A TCP and a UDP listener on the same address and port, which write down every contact. TCP contacts are answered with `caught`.
 * An address and port that another test listens on is waited for.
 */
export async function startCanary(lifetime: Lifetime, address: string, port: number): Promise<Canary> {
  const contacts: Contact[] = [];
  const streams = createServer((socket) => {
    const chunks: Buffer[] = [];
    contacts.push({ transport: 'tcp', from: socket.remoteAddress ?? '', bytes: () => Buffer.concat(chunks) });
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => { if (chunks.length < 64) chunks.push(chunk); });
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\ncaught');
  });
  const taken = await listen(streams, () => streams.listen(port, address));

  const datagrams = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  datagrams.on('message', (message, from) => contacts.push({ transport: 'udp', from: from.address, bytes: () => message }));
  await listen(datagrams, () => datagrams.bind(taken, address));

  lifetime.teardown(() => {
    streams.close();
    datagrams.close();
  });
  return { address, port: taken, contacts };
}
