import { BoundSocket, type AddressInfo } from 'node:net';
import { SallyportError } from '../../contracts/errors.ts';
import { bracketed } from '../allow-option.ts';
import type { ListenAddress } from '../listen-address.ts';

/** A socket that workers inherit and listen on together: connections that come while none of them lives wait in its queue. */
export interface ListeningSocket {
  /** With the port that port 0 became. */
  readonly address: ListenAddress;
  readonly descriptor: number;
  close(): void;
}

/** Binds; throws `port_in_use` where that can't be. The first worker makes it listen, and nobody ever accepts in this process. */
export function bindListeningSocket({ host, port }: ListenAddress): ListeningSocket {
  try {
    const socket = new BoundSocket({ host, port });
    const bound = socket.address() as AddressInfo;
    return { address: { host: bound.address, port: bound.port }, descriptor: socket.fd(), close: () => socket.close() };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const where = `${bracketed(host)}:${port}`;
    throw new SallyportError('port_in_use', code === 'EADDRINUSE' ? `${where} is already in use.` : `Can't listen on ${where}: ${message}.`, { cause: error });
  }
}
