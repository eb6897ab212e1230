import { randomFillSync } from 'node:crypto';

/** Errors of WASI preview 1 that this shim answers with. */
const errno = { success: 0, badf: 8, noent: 44, nosys: 52 } as const;

const clocks = { realtime: 0 } as const;
/** Size of a subscription and of an event in `poll_oneoff`, and where a subscription keeps its user data, tag and time-out. */
const subscription = { size: 48, tag: 8, timeout: 24, flags: 40 } as const;
const event = { size: 32, type: 10 } as const;

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Go writes its panics to standard error; the last 8 KiB are kept to say why a call died. */
const keptDiagnostics = 8192;

/** The module asked to end, which is what Go does after a panic that cannot be recovered. */
class ModuleExit extends Error {
  override readonly name = 'ModuleExit';
}

/**
 * The WASI imports that a Go reactor needs to run: clock, randomness, standard error, sleep. No arguments, no environment, no
 * files, no network: every other import answers that it does not exist. Sleeping blocks, so it belongs in a worker thread.
 */
export class Wasi {
  #memory: WebAssembly.Memory | undefined;
  #diagnostics = '';

  /** What was written to standard output and standard error, its end. */
  get diagnostics(): string {
    return this.#diagnostics;
  }

  attach(memory: WebAssembly.Memory): void {
    this.#memory = memory;
  }

  importsFor(module: WebAssembly.Module): WebAssembly.Imports {
    const imports: Record<string, (...args: never[]) => unknown> = {};
    for (const { module: namespace, name } of WebAssembly.Module.imports(module)) {
      if (namespace !== 'wasi_snapshot_preview1') throw new Error(`the module imports ${namespace}.${name}, which is not given to it`);
      imports[name] = () => (name.startsWith('path_') ? errno.noent : name.startsWith('fd_') ? errno.badf : errno.nosys);
    }
    return { wasi_snapshot_preview1: { ...imports, ...this.#given } } as WebAssembly.Imports;
  }

  get #view(): DataView {
    return new DataView(this.#memory!.buffer);
  }

  readonly #given = {
    args_get: () => errno.success,
    environ_get: () => errno.success,
    args_sizes_get: (count: number, size: number) => this.#nothing(count, size),
    environ_sizes_get: (count: number, size: number) => this.#nothing(count, size),
    sched_yield: () => errno.success,
    clock_time_get: (clock: number, _precision: bigint, at: number) => {
      const milliseconds = clock === clocks.realtime ? Date.now() : performance.now();
      this.#view.setBigUint64(at, BigInt(Math.round(milliseconds * 1000)) * 1000n, true);
      return errno.success;
    },
    random_get: (at: number, length: number) => {
      randomFillSync(new Uint8Array(this.#memory!.buffer, at, length));
      return errno.success;
    },
    fd_write: (descriptor: number, vectors: number, count: number, written: number) => {
      if (descriptor !== 1 && descriptor !== 2) return errno.badf;
      let total = 0;
      for (let i = 0; i < count; i++) {
        const at = this.#view.getUint32(vectors + i * 8, true);
        const length = this.#view.getUint32(vectors + i * 8 + 4, true);
        this.#diagnostics = (this.#diagnostics + Buffer.from(this.#memory!.buffer, at, length).toString()).slice(-keptDiagnostics);
        total += length;
      }
      this.#view.setUint32(written, total, true);
      return errno.success;
    },
    poll_oneoff: (subscriptions: number, events: number, count: number, written: number) => this.#poll(subscriptions, events, count, written),
    proc_exit: (code: number) => {
      throw new ModuleExit(`the compiler ended with ${code}: ${this.#diagnostics.trim()}`);
    },
  };

  #nothing(count: number, size: number): number {
    this.#view.setUint32(count, 0, true);
    this.#view.setUint32(size, 0, true);
    return errno.success;
  }

  /** Waits for the nearest of the clock subscriptions; Go asks for nothing else, since it has no descriptor to wait for. */
  #poll(subscriptions: number, events: number, count: number, written: number): number {
    let nearest = Number.POSITIVE_INFINITY;
    let chosen = -1;
    for (let i = 0; i < count; i++) {
      const at = subscriptions + i * subscription.size;
      if (this.#view.getUint8(at + subscription.tag) !== 0) return errno.nosys;
      const absolute = (this.#view.getUint16(at + subscription.flags, true) & 1) === 1;
      const nanoseconds = Number(this.#view.getBigUint64(at + subscription.timeout, true));
      const wait = absolute ? nanoseconds / 1e6 - performance.now() : nanoseconds / 1e6;
      if (wait < nearest) [nearest, chosen] = [wait, i];
    }
    if (chosen === -1) return errno.nosys;
    if (nearest > 0) Atomics.wait(sleeper, 0, 0, nearest);
    this.#view.setBigUint64(events, this.#view.getBigUint64(subscriptions + chosen * subscription.size, true), true);
    this.#view.setUint16(events + 8, errno.success, true);
    this.#view.setUint8(events + event.type, 0);
    this.#view.setUint32(written, 1, true);
    return errno.success;
  }
}
