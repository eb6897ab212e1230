import { SallyportError, toSallyportError } from '../../../contracts/errors.ts';
import type { Permit } from '../../enforce/permit.ts';
import { Remembered } from '../../remembered.ts';
import type { DialContext } from '../context.ts';
import type { Dialling } from '../dial.ts';
import { upstreamFailure } from '../failures.ts';
import { OriginSession } from './session.ts';
import type { Protocol } from '../../wire/alpn.ts';
import { dialOrigin, type OriginConnection } from '../origin-connection.ts';

/** Who wants a stream; one of the three is called, once, unless it was forgotten before. */
export interface StreamSeeker {
  readonly permit: Permit;
  /** A stream is reserved. */
  reserved(session: OriginSession): void;
  /** The origin speaks HTTP/1.1 only. `connection` is one that nobody has used. */
  overHttp1(connection: OriginConnection | undefined): void;
  /** No connection could be made. */
  unreachable(error: SallyportError): void;
}

/** A run may have as much of what is free: else one that has many origins keeps all others from theirs. */
const shareOfRun = 4;

/** All of one `Permit.pool_key`. */
interface Line {
  readonly key: string;
  readonly run_id: string;
  readonly sessions: OriginSession[];
  readonly waiting: StreamSeeker[];
  dialling: Dialling<OriginConnection> | undefined;
  serving: boolean;
}

export type OriginOfRun = Pick<Permit, 'run_id' | 'host' | 'port'>;

const offered: readonly [Protocol, ...Protocol[]] = ['h2', 'http/1.1'];

/**
 * HTTP/2 connections to origins by `Permit.pool_key`: none is shared between runs, origins or address classes. At most one dial at a time
 * for each: who comes meanwhile may find room on what it brings.
 */
export class Http2Sessions {
  readonly #context: DialContext;
  readonly #lines = new Map<string, Line>();
  /** By run, host and port; whether HTTP/2 was agreed on last, and when, in the time of the sweep. */
  readonly #spoken = new Remembered<{ http2: boolean; at: number }>();
  #size = 0;
  readonly #ofRun = new Map<string, number>();
  #closed = false;

  constructor(context: DialContext) {
    this.#context = context;
  }

  /** Whether the origin speaks HTTP/2 inside TLS, as far as this run has found: another may be led elsewhere by the same name. Undefined where it did not ask lately. */
  speaksHttp2({ run_id, host, port }: OriginOfRun): boolean | undefined {
    const known = this.#spoken.get(`${run_id} ${host}:${port}`);
    return known === undefined || this.#context.sweep.now - known.at > this.#context.limits.protocol_known_ms ? undefined : known.http2;
  }

  learn({ run_id, host, port }: OriginOfRun, http2: boolean): void {
    const key = `${run_id} ${host}:${port}`;
    const at = this.#context.sweep.now;
    const known = this.#spoken.get(key);
    if (known === undefined) this.#spoken.set(key, { http2, at });
    else Object.assign(known, { http2, at });
  }

  /** Calls back at once where it can. */
  ask(seeker: StreamSeeker): void {
    const { scheme, pool_key } = seeker.permit;
    if (scheme === 'https' && this.speaksHttp2(seeker.permit) === false) return seeker.overHttp1(undefined);
    let line = this.#lines.get(pool_key);
    if (line === undefined) {
      line = { key: pool_key, run_id: seeker.permit.run_id, sessions: [], waiting: [], dialling: undefined, serving: false };
      this.#lines.set(pool_key, line);
    }
    line.waiting.push(seeker);
    this.#serve(line);
  }

  /** `seeker` waits no more. */
  forget(seeker: StreamSeeker): void {
    const line = this.#lines.get(seeker.permit.pool_key);
    const index = line?.waiting.indexOf(seeker) ?? -1;
    if (line === undefined || index < 0) return;
    line.waiting.splice(index, 1);
    if (line.waiting.length > 0) return;
    line.dialling?.cancel();
    line.dialling = undefined;
    this.#tidy(line);
  }

  #serve(line: Line): void {
    // Whoever is given a stream may be through with it before the call returns.
    if (line.serving) return;
    line.serving = true;
    for (let index = 0; index < line.waiting.length;) {
      if (!line.sessions.some(({ hasRoom }) => hasRoom)) break;
      const seeker = line.waiting[index]!;
      const session = line.sessions.find((one) => one.takes(seeker.permit.addresses));
      if (session === undefined) {
        index++;
        continue;
      }
      line.waiting.splice(index, 1);
      session.reserve();
      seeker.reserved(session);
    }
    line.serving = false;
    this.#dial(line);
    this.#tidy(line);
  }

  #dial(line: Line): void {
    const { limits } = this.#context;
    const first = line.waiting[0];
    if (first === undefined || line.dialling !== undefined) return;
    const open = line.sessions.filter((session) => session.usable);
    const { addresses } = first.permit;
    if (open.length >= limits.sessions_per_key || open.some((session) => session.promising && addresses.some(({ address }) => address === session.address))) return;
    if (this.#size >= limits.sessions && !this.#makeRoom()) {
      return this.#fail(line, new SallyportError('overloaded', `This proxy has ${limits.sessions} connections of HTTP/2 to origins, and none to spare.`));
    }
    const own = this.#ofRun.get(line.run_id) ?? 0;
    const most = Math.max(1, Math.floor((limits.sessions - this.#size + own) / shareOfRun));
    if (own >= most && !this.#makeRoom(line.run_id)) {
      return this.#fail(line, new SallyportError('rate_limited', `A run may have ${most} connections of HTTP/2 to origins at present.`));
    }
    const { permit } = first;
    const dialling = line.dialling = dialOrigin(permit, this.#context, offered);
    dialling.connected.then((connection) => {
      if (line.dialling !== dialling) return void connection.socket.destroy();
      line.dialling = undefined;
      this.#connected(line, permit, connection);
    }).catch((error: unknown) => {
      if (line.dialling === dialling) line.dialling = undefined;
      this.#fail(line, toSallyportError(error));
    });
  }

  #connected(line: Line, permit: Permit, connection: OriginConnection): void {
    const { host, port, scheme } = permit;
    const speaks = connection.protocol === 'h2';
    if (scheme === 'https') this.learn(permit, speaks);
    if (!speaks) {
      let unused: OriginConnection | undefined = connection;
      for (const seeker of line.waiting.splice(0)) {
        seeker.overHttp1(unused);
        unused = undefined;
      }
      this.#tidy(line);
      return;
    }
    const where = `${host}:${port}`;
    // Node needs a living one.
    if (connection.socket.destroyed) return this.#fail(line, upstreamFailure(undefined, where));
    const session = new OriginSession(connection, where, this.#context, { changed: (changed) => { this.#changed(line, changed); } });
    line.sessions.push(session);
    this.#count(line, 1);
    this.#serve(line);
  }

  #changed(line: Line, session: OriginSession): void {
    if (!session.usable && session.idle) {
      const index = line.sessions.indexOf(session);
      if (index >= 0) {
        line.sessions.splice(index, 1);
        this.#count(line, -1);
        if (!session.destroyed) session.retire();
      }
    }
    this.#serve(line);
  }

  #count({ run_id }: Line, change: 1 | -1): void {
    this.#size += change;
    const left = (this.#ofRun.get(run_id) ?? 0) + change;
    if (left === 0) this.#ofRun.delete(run_id);
    else this.#ofRun.set(run_id, left);
  }

  #fail(line: Line, error: SallyportError): void {
    for (const seeker of line.waiting.splice(0)) seeker.unreachable(error);
    this.#tidy(line);
  }

  #tidy(line: Line): void {
    // One that was given up may hear of its last session when another line stands in its place.
    if (line.sessions.length === 0 && line.waiting.length === 0 && line.dialling === undefined && this.#lines.get(line.key) === line) this.#lines.delete(line.key);
    // Nothing waits for what is idle any more.
    if (this.#closed) for (const session of line.sessions.filter(({ idle, usable }) => idle && usable)) session.retire();
  }

  /** Closes one that nobody uses: the run's, or anybody's. */
  #makeRoom(of?: string): boolean {
    for (const { sessions, run_id } of this.#lines.values()) {
      if (of !== undefined && run_id !== of) continue;
      const idle = sessions.find((session) => session.idle);
      if (idle === undefined) continue;
      idle.retire();
      return true;
    }
    return false;
  }

  /** Closes what is idle, and the rest as soon as it is. */
  close(): void {
    this.#closed = true;
    for (const line of this.#lines.values()) this.#tidy(line);
  }
}
