import type { PermittedAddress } from '../enforce/permit.ts';
import type { ForwardLimits } from './limits.ts';
import type { Upstream } from './upstream.ts';

/**
 * Connections that wait for their next exchange, by `Permit.pool_key`: none is shared between runs, origins or address classes. A key
 * stays when its last connection is taken, because it is put back soon: a map that forgets and learns a key with each request leaves
 * garbage that only a full collection takes.
 */
export class UpstreamPool {
  readonly #limits: ForwardLimits;
  readonly #idle = new Map<string, Upstream[]>();
  #size = 0;
  #closed = false;

  constructor(limits: ForwardLimits) {
    this.#limits = limits;
  }

  /**
   * The one used last, since it is the least likely to be stale, of those to an address that policy has just allowed: the name may have
   * others by now, and the policy may be another one.
   */
  take(key: string, addresses: readonly PermittedAddress[]): Upstream | undefined {
    const idle = this.#idle.get(key);
    for (let upstream = idle?.pop(); upstream !== undefined; upstream = idle?.pop()) {
      this.#size--;
      upstream.onIdleClose = undefined;
      if (upstream.usable && isNamed(upstream.address, addresses)) return upstream;
      upstream.destroy();
    }
    return undefined;
  }

  put(key: string, upstream: Upstream): void {
    upstream.release();
    if (this.#closed || !upstream.usable || this.#size >= this.#limits.pooled) return upstream.destroy();
    const idle = this.#idle.get(key) ?? this.#learn(key);
    if (idle.length >= this.#limits.pooled_per_key) return upstream.destroy();
    upstream.expect(this.#limits.pooled_ms);
    // It must hear what comes uncalled for, and the end.
    if (upstream.socket.isPaused()) upstream.resume();
    upstream.onIdleClose = () => this.#drop(key, upstream);
    idle.push(upstream);
    this.#size++;
  }

  /** Keys are as many as connections at most: beyond that, those without one are forgotten. */
  #learn(key: string): Upstream[] {
    if (this.#idle.size >= this.#limits.pooled) {
      for (const [known, { length }] of this.#idle) if (length === 0) this.#idle.delete(known);
    }
    const idle: Upstream[] = [];
    this.#idle.set(key, idle);
    return idle;
  }

  #drop(key: string, upstream: Upstream): void {
    const idle = this.#idle.get(key);
    const index = idle?.indexOf(upstream) ?? -1;
    if (idle === undefined || index < 0) return;
    idle.splice(index, 1);
    this.#size--;
    if (idle.length === 0) this.#idle.delete(key);
  }

  /** Closes what is idle, and keeps nothing from now on. */
  close(): void {
    this.#closed = true;
    for (const idle of this.#idle.values()) for (const upstream of idle) upstream.destroy();
    this.#idle.clear();
    this.#size = 0;
  }
}

function isNamed(address: string, addresses: readonly PermittedAddress[]): boolean {
  for (const permitted of addresses) if (permitted.address === address) return true;
  return false;
}
