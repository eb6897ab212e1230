import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { runSocketName } from '../contracts/run-socket.ts';
import { toSallyportError } from '../contracts/errors.ts';
import { createListener, type Listener, type ListenerOptions } from './accept/listener.ts';
import type { Handler } from './accept/connection-options.ts';
import type { LiveRun } from './runs.ts';
import { signals } from './signals.ts';

/** For answers that are under way when a run ends: they have been told to stop. */
const runDrainMs = 1000;

interface Place {
  readonly folder: string;
  readonly slot: number;
  /** Nobody is listened to before the worker can decide. */
  readonly usable: Promise<void>;
}

/** This worker's listeners of jailed runs, each below `<data>/s/`: whoever can connect there is that run. */
export class RunListeners {
  readonly #folder: string;
  readonly #slot: number;
  readonly #usable: Promise<void>;
  readonly #shared: Omit<ListenerOptions, 'listen'>;
  readonly #handler: Handler;
  readonly #listeners = new Map<string, Promise<Listener | undefined>>();

  constructor({ folder, slot, usable }: Place, shared: Omit<ListenerOptions, 'listen'>, handler: Handler) {
    this.#folder = folder;
    this.#slot = slot;
    this.#usable = usable;
    this.#shared = shared;
    this.#handler = handler;
  }

  /** Settles when the run can be reached. */
  async open({ run_id, snapshot }: LiveRun): Promise<void> {
    if (snapshot.channel !== 'jail') return;
    const opening = this.#open(run_id, join(this.#folder, runSocketName(snapshot.short_id, this.#slot)));
    this.#listeners.set(run_id, opening);
    await opening;
  }

  async close({ run_id }: LiveRun, drainMs: number = runDrainMs): Promise<void> {
    const listener = await this.#listeners.get(run_id);
    this.#listeners.delete(run_id);
    await listener?.stop(drainMs);
  }

  async closeAll(drainMs: number): Promise<void> {
    await Promise.all([...this.#listeners.values()].map(async (opening) => (await opening)?.stop(drainMs)));
    this.#listeners.clear();
  }

  async #open(run_id: string, path: string): Promise<Listener | undefined> {
    await this.#usable;
    try {
      const listener = await createListener({ kind: 'run', run_id }, { ...this.#shared, listen: { path } }, this.#handler);
      await chmod(path, 0o600);
      return listener;
    } catch (error) {
      // The run can't be reached, which its launcher sees at once.
      signals.fault.publish({ where: 'listener of a run', error: toSallyportError(error) });
      return undefined;
    }
  }
}
