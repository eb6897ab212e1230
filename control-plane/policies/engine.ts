import { SallyportError } from '../../contracts/errors.ts';
import type { Engine } from '../../engine/engine.ts';
import { activeRevision } from '../proxies/commands.ts';
import type { Services } from '../services.ts';
import { getBundle } from './commands.ts';

/**
 * The control plane's own instance of the policy in force, for `GET /chat/why`: proxies decide, this only explains. Opened when it
 * is first asked for (100 ms, some 30 MB with 100,000 hosts), and one at a time.
 */
export class PolicyEngine {
  readonly #services: Services;
  #opened: { readonly revision: string; readonly engine: Promise<Engine> } | undefined;

  constructor(services: Services) {
    this.#services = services;
  }

  /** Throws `no_policy`, or `policy_folder` where the bundle cannot be used. */
  async current(): Promise<Engine> {
    const revision = await activeRevision(this.#services.database.kysely);
    if (revision === undefined) throw new SallyportError('no_policy', 'No policy bundle is active.');
    if (this.#opened?.revision !== revision) {
      const opened = { revision, engine: this.#open(revision) };
      this.#opened = opened;
      opened.engine.catch(() => { if (this.#opened === opened) this.#opened = undefined; });
    }
    return await this.#opened.engine;
  }

  async #open(revision: string): Promise<Engine> {
    const [{ bundleFromBytes }, { openEngine }] = await Promise.all([import('../../engine/bundle.ts'), import('../../engine/engine.ts')]);
    return await openEngine(bundleFromBytes(await getBundle(this.#services, revision)), { now: () => this.#services.clock.monotonic() });
  }
}
