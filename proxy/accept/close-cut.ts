import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { belowTls } from '../intercept/terminate.ts';

/** Closes a client's connection such that it can't take its answer for complete. `framed`: it can tell by the framing that the answer is cut. */
export function closeCut(stream: Duplex, framed: boolean): void {
  const connection = belowTls(stream);
  // Without framing an orderly close would say "complete"; only a reset says "cut", or in TLS a close without its alert (RFC 8446, section
  // 6.1). A Unix socket has no reset.
  const reset = connection instanceof Socket && connection.remoteFamily !== undefined ? connection : undefined;
  if (framed || (reset === undefined && connection === stream)) {
    stream.end(() => { stream.destroy(); });
    return;
  }
  const cut = (): void => {
    if (reset === undefined) stream.destroy();
    else reset.resetAndDestroy();
  };
  if (stream.writableLength === 0) cut();
  else stream.write('', cut);
}
