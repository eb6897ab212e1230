import type { Socket } from 'node:net';
import { SallyportError } from '../../contracts/errors.ts';
import type { Via } from '../enforce/upstream-proxies.ts';
import { HeadCollector } from '../wire/head-collector.ts';

/** A connection whose bytes come by `read`. */
export interface Readable {
  readonly socket: Socket;
  read: (bytes: Buffer) => void;
}

const statusLine = /^HTTP\/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r\n/;

/**
 * Asks an upstream proxy to connect to `authority` (RFC 9110, section 9.3.6). `done` gets what came behind its 2xx, which is the other
 * side's; `failed` says which proxy failed, and how. The socket's own end is for the caller to see. Nothing of this is the run's traffic.
 */
export function askForConnection(connection: Readable, via: Via, authority: string, done: (rest: Buffer) => void, failed: (problem: SallyportError) => void): void {
  const { socket } = connection;
  const user = connection.read;
  const heads = new HeadCollector(false);
  // Where a half-open connection is allowed nobody else would see that it will never answer.
  const onEnd = (): void => { socket.destroy(); };
  const finish = (): void => {
    connection.read = user;
    socket.removeListener('end', onEnd);
  };
  socket.once('end', onEnd);
  connection.read = (bytes) => {
    const collected = heads.feed(bytes);
    if (collected === 'more') return;
    finish();
    const status = collected === 'head' ? statusLine.exec(heads.head.toString('latin1'))?.[1] : undefined;
    // The body of a 2xx is the tunnel, whatever length it gives.
    if (status?.startsWith('2') === true) done(Buffer.from(heads.rest));
    else failed(refusalOf(status, via.name, authority));
  };
  const credentials = via.authorization === undefined ? '' : `Proxy-Authorization: ${via.authorization}\r\n`;
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${credentials}\r\n`, 'latin1');
}

function refusalOf(status: string | undefined, name: string, authority: string): SallyportError {
  if (status === undefined) return new SallyportError('upstream_protocol', `The upstream proxy ${name} did not answer as an HTTP proxy does.`);
  if (status === '407') return new SallyportError('upstream_refused', `The upstream proxy ${name} wants other credentials than this proxy has for it (407).`);
  if (status === '504') return new SallyportError('upstream_timeout', `The upstream proxy ${name} got no answer from ${authority} (504).`);
  if (status.startsWith('5')) return new SallyportError('upstream_unreachable', `The upstream proxy ${name} could not reach ${authority} (${status}).`);
  return new SallyportError('upstream_refused', `The upstream proxy ${name} refused to connect to ${authority} (${status}).`);
}
