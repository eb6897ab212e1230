import { signSeal, verifySeal, type SealLine } from '../../contracts/seal.ts';
import type { NoteSigner } from '../../contracts/signed-note.ts';
import { makeChange } from '../change.ts';
import { startLoop, type Loop } from '../loop.ts';
import type { Services } from '../services.ts';
import { markSealed } from './journal-store.ts';
import { sealDue } from './rules.ts';
import { insertSeal, selectLastSeal, selectLastTransition } from './seal-store.ts';
import type { SealsFile } from './seals-file.ts';
import { headOf } from './sequencer.ts';
import { countEvents, selectTree } from './store.ts';

/** Also the shortest time between two seals that nobody asked for: each costs an embedded database a checkpoint. */
const everyMs = 1_000;

/** Seals the chain, one seal at a time. */
export class Sealer {
  readonly #services: Services;
  readonly #signer: NoteSigner;
  readonly #file: SealsFile;
  #work: Promise<unknown> = Promise.resolve();

  constructor(services: Services, signer: NoteSigner, file: SealsFile) {
    this.#services = services;
    this.#signer = signer;
    this.#file = file;
  }

  get signer(): NoteSigner {
    return this.#signer;
  }

  /** Seals when that is due. Nothing waits for it. */
  start(): Loop {
    return startLoop(this.#services, { name: 'sealer', every: everyMs, round: async () => {
      const database = this.#services.database.kysely;
      const { size } = await selectTree(database);
      const last = await selectLastSeal(database);
      const events = last === undefined || last.size === size ? 0 : await countEvents(database, last.size, size);
      const lastTransition = await selectLastTransition(database);
      if (sealDue({ now: this.#services.clock.now(), size, last, events, lastTransition })) await this.#inOrder(() => this.#seal(last));
    } });
  }

  /** Seals what is in the tree and not sealed yet; with several replicas, by this one's key. */
  async sealRest(): Promise<void> {
    await this.#inOrder(async () => {
      const last = await selectLastSeal(this.#services.database.kysely);
      const { size } = await selectTree(this.#services.database.kysely);
      if (last === undefined || last.size < size || !verifySeal(last.note, this.#signer).ok) await this.#seal(last);
    });
  }

  /**
   * Signs the head as it is, first outside of the database, then in it. What was sealed may be deleted by the proxies, and a start is
   * refused when it is missing, so an embedded database is synced before.
   */
  async #seal(last: SealLine | undefined): Promise<void> {
    const head = headOf(await selectTree(this.#services.database.kysely));
    if (head.size === 0) return;
    await this.#services.database.makeDurable();
    const line = signSeal({
      origin: this.#signer.name, size: head.size, root: Uint8Array.from(Buffer.from(head.root, 'hex')), incarnation: head.incarnation, at: this.#services.clock.now(),
    }, this.#signer);
    await this.#file.append(line);
    await makeChange(this.#services, async (change) => {
      await insertSeal(change.trx, line);
      await markSealed(change.trx, last?.size ?? 0, head.size);
      change.signal('sealed');
    });
  }

  async #inOrder(work: () => Promise<void>): Promise<void> {
    const mine = this.#work.then(work);
    this.#work = mine.catch(() => { /* Told to who asked for it. */ });
    await mine;
  }
}
