import type { ServerResponse } from 'node:http';
import { SallyportError } from '../../contracts/errors.ts';

/** Streams and long waits of one replica, all kinds together. */
const maxStreams = 1_000;
/** Of one agent: without a bound of its own it could take the places of proxies, and with them all other runs' way out. */
const maxOfAgent = 16;
/** Of all agents: runs may collude, or just be many. */
const maxOfAgents = maxStreams / 2;

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
  readonly #ofAgents = new Map<string, number>();
  #allOfAgents = 0;
  #stopping = false;

  /**
   * Takes over the response (the caller then sets `ctx.respond = false`: a refusal is still to be answered). `maxWaiting` in bytes
   * bounds what is buffered for a slow client; `ofAgent` is the run whose agent asks. Throws `overloaded` or `rate_limited`.
   */
  open(response: ServerResponse, contentType: string, maxWaiting: number, ofAgent?: string): Stream {
    const hold = this.hold(ofAgent);
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
  hold(ofAgent?: string): { readonly signal: AbortSignal; release(): void } {
    if (this.#stopping || this.#open.size >= maxStreams) {
      throw new SallyportError('overloaded', 'No more streams can be opened here now.');
    }
    const others = ofAgent === undefined ? 0 : this.#ofAgents.get(ofAgent) ?? 0;
    if (others >= maxOfAgent) throw new SallyportError('rate_limited', `An agent may have ${maxOfAgent} streams open.`);
    if (ofAgent !== undefined && this.#allOfAgents >= maxOfAgents) throw new SallyportError('overloaded', 'Agents have as many streams open here as they may.');
    const controller = new AbortController();
    this.#open.add(controller);
    if (ofAgent !== undefined) {
      this.#ofAgents.set(ofAgent, others + 1);
      this.#allOfAgents++;
    }
    let held = true;
    return {
      signal: controller.signal,
      release: () => {
        if (held && ofAgent !== undefined) this.#leave(ofAgent);
        held = false;
        this.#open.delete(controller);
        controller.abort();
      },
    };
  }

  #leave(agent: string): void {
    this.#allOfAgents--;
    const left = (this.#ofAgents.get(agent) ?? 1) - 1;
    if (left === 0) this.#ofAgents.delete(agent);
    else this.#ofAgents.set(agent, left);
  }

  /** Ends all, and takes no new ones. */
  stop(): void {
    this.#stopping = true;
    for (const controller of this.#open) controller.abort();
    this.#open.clear();
  }
}
