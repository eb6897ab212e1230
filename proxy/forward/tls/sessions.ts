/** Where sessions of TLS with origins are kept: a new connection to the same origin then costs neither certificates nor a signature. */
const most = 2_000;
/** Of one session: it holds the certificates that the origin showed. */
const largest = 16_384;

export interface TlsSession {
  readonly session: Buffer;
  /** In the time of the clock's `monotonic`. One that came of another is believed no longer than that. */
  readonly until: number;
}

/** By `Permit.pool_key`, so that none is resumed by another run or for another host. The newest of each; the oldest go first. */
export class TlsSessions {
  readonly #sessions = new Map<string, TlsSession>();

  get(key: string, now: number): TlsSession | undefined {
    const known = this.#sessions.get(key);
    if (known === undefined || known.until > now) return known;
    this.#sessions.delete(key);
    return undefined;
  }

  put(key: string, session: TlsSession): void {
    if (session.session.length > largest) return;
    this.#sessions.delete(key);
    for (const oldest of this.#sessions.keys()) {
      if (this.#sessions.size < most) break;
      this.#sessions.delete(oldest);
    }
    this.#sessions.set(key, session);
  }

  forget(key: string): void {
    this.#sessions.delete(key);
  }
}
