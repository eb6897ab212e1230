import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** As much of RFC 6455 as an echo needs: text and close frames up to 64 KiB, in one piece. */

export const handshakeFields = [
  'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
] as const;

const acceptOf = (key: string): string => createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

/** The answer to a handshake with the fields above. */
export const switching = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Accept: ${acceptOf('dGhlIHNhbXBsZSBub25jZQ==')}`, '', ''].join('\r\n');

const text = 1;
const close = 8;

/** One frame; a client's are masked. */
export function frame(payload: string | Buffer, masked: boolean, opcode: number = text): Buffer {
  const bytes = Buffer.from(payload);
  const length = bytes.length < 126 ? Buffer.from([bytes.length]) : Buffer.from([126, bytes.length >> 8, bytes.length & 255]);
  if (masked) length[0]! |= 128;
  const mask = masked ? Buffer.from([1, 2, 3, 4]) : Buffer.alloc(0);
  return Buffer.concat([Buffer.from([128 | opcode]), length, mask, masked ? bytes.map((byte, index) => byte ^ mask[index % 4]!) : bytes]);
}

interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** The whole frames in `bytes`, and what is left. */
export function readFrames(bytes: Buffer): { readonly frames: readonly Frame[]; readonly rest: Buffer } {
  const frames: Frame[] = [];
  let at = 0;
  for (;;) {
    if (bytes.length < at + 2) break;
    const masked = (bytes[at + 1]! & 128) !== 0;
    let length = bytes[at + 1]! & 127;
    let start = at + 2;
    if (length === 126) {
      if (bytes.length < start + 2) break;
      length = bytes.readUInt16BE(start);
      start += 2;
    }
    const mask = masked ? bytes.subarray(start, start + 4) : Buffer.alloc(4);
    if (masked) start += 4;
    if (bytes.length < start + length) break;
    frames.push({ opcode: bytes[at]! & 15, payload: Buffer.from(bytes.subarray(start, start + length).map((byte, index) => byte ^ mask[index % 4]!)) });
    at = start + length;
  }
  return { frames, rest: bytes.subarray(at) };
}

/** For the event `upgrade` of node:http: a server that says back what it is told. */
export function echo(request: IncomingMessage, socket: Duplex, head: Buffer): void {
  socket.on('error', () => { /* The proxy may cut it. */ });
  socket.write(['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Accept: ${acceptOf(request.headers['sec-websocket-key'] ?? '')}`, '', ''].join('\r\n'));
  let held = head;
  const answer = (): void => {
    const { frames, rest } = readFrames(held);
    held = rest;
    for (const { opcode, payload } of frames) {
      socket.write(frame(payload, false, opcode));
      if (opcode === close) socket.end();
    }
  };
  answer();
  socket.on('data', (bytes: Buffer) => {
    held = Buffer.concat([held, bytes]);
    answer();
  });
}
