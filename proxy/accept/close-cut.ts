import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Closes a client's connection such that it can't take its answer for complete. `framed`: it can tell by the framing that the answer is cut. */
export function closeCut(stream: Duplex, framed: boolean): void {
  // Without framing an orderly close would say "complete"; only a reset says "cut". A Unix socket has none.
  if (!framed && stream instanceof Socket && stream.remoteFamily !== undefined) {
    if (stream.writableLength === 0) stream.resetAndDestroy();
    else stream.write('', () => { stream.resetAndDestroy(); });
  } else {
    stream.end(() => { stream.destroy(); });
  }
}
