import type { ServerResponse } from 'node:http';
import { SallyportError } from '../../contracts/errors.ts';

/** Streams and long waits of one replica, all kinds together. */
const maxStreams = 1_000;

/** One open answer that is written to bit by bit. */
export interface Stream {
  /** Gives false, and breaks the stream off, once the client is too far behind: it must connect again and start from a snapshot. */
  write(text: string): boolean;
  /** Bytes that the client has not taken yet. */
  readonly waiting: number;
  readonly closed: AbortSignal;
  end(): void;
}

/** All open streams: counted, bounded, and ended when the server stops. */
export class Streams {
  readonly #open = new Set<AbortController>();
  #stopping = false;

  /** Takes over the response (the caller sets `ctx.respond = false`). `maxWaiting` in bytes bounds what is buffered for a slow client. */
  open(response: ServerResponse, contentType: string, maxWaiting: number): Stream {
    const hold = this.hold();
    response.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' });
    response.flushHeaders();
    const close = (): void => { hold.release(); };
    response.on('close', close);
    response.on('error', close);
    hold.signal.addEventListener('abort', () => { response.end(); }, { once: true });
    return {
      write(text) {
        if (hold.signal.aborted || response.destroyed) return false;
        response.write(text);
        if (response.writableLength <= maxWaiting) return true;
        response.destroy();
        return false;
      },
      get waiting() {
        return response.writableLength;
      },
      closed: hold.signal,
      end: close,
    };
  }

  /** A place for a stream or a long wait; `signal` says that it is over or that the server stops. */
  hold(): { readonly signal: AbortSignal; release(): void } {
    if (this.#stopping || this.#open.size >= maxStreams) {
      throw new SallyportError('overloaded', 'No more streams can be opened here now.', { retry_after: 1 });
    }
    const controller = new AbortController();
    this.#open.add(controller);
    return {
      signal: controller.signal,
      release: () => {
        this.#open.delete(controller);
        controller.abort();
      },
    };
  }

  /** Ends all, and takes no new ones. */
  stop(): void {
    this.#stopping = true;
    for (const controller of this.#open) controller.abort();
    this.#open.clear();
  }
}
