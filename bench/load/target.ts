import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AnswerReader } from './answer-reader.ts';

/** What is asked for, and by which way. */
export interface Target {
  /** Where connections go: to the proxy, or to the origin itself. */
  readonly port: number;
  readonly form: 'origin' | 'absolute' | 'tunnel';
  readonly authority: string;
  /** Values of `Proxy-Authorization`, taken in turn by connections; empty where nobody is asked. */
  readonly authorizations: readonly string[];
  /** The rest goes in TLS, whose certificate is not looked at. */
  readonly tls?: boolean;
}

const credentials = ({ authorizations }: Target, turn: number): string => (authorizations.length === 0 ? '' : `Proxy-Authorization: ${authorizations[turn % authorizations.length]}\r\n`);

/** `more` are further fields, each with its line end. */
export function requestHead(target: Target, method: 'GET' | 'POST', path: string, more = '', turn = 0): Buffer {
  const { form, authority } = target;
  const start = form === 'absolute' ? `http://${authority}${path}` : path;
  return Buffer.from(`${method} ${start} HTTP/1.1\r\nHost: ${authority}\r\nUser-Agent: bench\r\nAccept: */*\r\n${form === 'absolute' ? credentials(target, turn) : ''}${more}\r\n`);
}

/** A buffer that many sockets read into: the bytes are taken before anything else is read. */
export type OnBytes = (bytes: Buffer) => void;

export interface Way {
  /** What the request is written to. */
  socket: Socket;
  /** Takes what comes from now on. */
  onBytes: OnBytes;
}

const shared = Buffer.allocUnsafe(256 * 1024);

/** Connects, and through a proxy's CONNECT where the target is a tunnel; then `ready`. What goes wrong until then, or later, is told once. */
export function open(target: Target, turn: number, ready: (way: Way) => void, failed: (problem: string) => void): Way {
  let told = false;
  const fail = (problem: string): void => {
    if (!told) failed(problem);
    told = true;
  };
  const socket = connect({
    host: '127.0.0.1', port: target.port, noDelay: true,
    ...target.tls !== true && { onread: { buffer: shared, callback: (count, buffer) => { way.onBytes((buffer as Buffer).subarray(0, count)); return true; } } },
  });
  const way: Way = { socket, onBytes: () => { fail('bytes that nobody asked for'); } };
  socket.on('error', (error) => { fail(error.message); });
  socket.on('close', () => { fail('closed'); });
  if (target.tls === true) socket.on('data', (bytes: Buffer) => { way.onBytes(bytes); });
  const begin = (): void => {
    if (target.tls !== true) return ready(way);
    socket.removeAllListeners('data');
    const secure = connectTls({ socket, servername: 'localhost', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }, () => { ready(way); });
    secure.on('error', (error) => { fail(error.message); }).on('data', (bytes: Buffer) => { way.onBytes(bytes); });
    way.socket = secure;
  };
  socket.on('connect', () => {
    if (target.form !== 'tunnel') {
      begin();
      return;
    }
    const answer = new AnswerReader(0, 'CONNECT');
    way.onBytes = (bytes) => {
      try {
        if (answer.take(bytes) === 'whole') begin();
      } catch (error) {
        fail((error as Error).message);
      }
    };
    socket.write(`CONNECT ${target.authority} HTTP/1.1\r\nHost: ${target.authority}\r\n${credentials(target, turn)}\r\n`);
  });
  return way;
}
