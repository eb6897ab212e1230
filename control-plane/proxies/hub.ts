import { heartbeatMs } from '../../contracts/data-plane.ts';
import { toSallyportError } from '../../contracts/errors.ts';
import { incarnationOf, sealedJournals, sealedSize } from '../audit/commands.ts';
import { openRecalls } from '../budgets/commands.ts';
import { makeChange } from '../change.ts';
import type { Context } from '../http/context.ts';
import type { Stream } from '../http/streams.ts';
import { startLoop, type Loop } from '../loop.ts';
import { liveSnapshots, snapshotsAfter } from '../runs/commands.ts';
import type { Services } from '../services.ts';
import { keyOf, line, recallLines, snapshotLines } from './rules.ts';
import { selectState, setConnectedUntil, upsertProxy } from './store.ts';

/** What may wait for a slow proxy beyond its first snapshot; then it is cut off, connects again and gets a new snapshot. */
const maxWaitingBytes = 4 * 1024 * 1024;
/** Another replica's changes arrive by this, should its hint be lost. */
const pollMs = 1_000;
const batch = 100;
/** A proxy counts as connected for this long after its replica last said so. */
const connectionMs = 3 * heartbeatMs;

interface Attached {
  readonly stream: Stream;
  readonly proxy_id: string;
  readonly connection_id: string;
  readonly journal_id: string | undefined;
  /** What it has been told. */
  revision: string;
  /** Recalls among those that are open. */
  recalls: ReadonlySet<string>;
}

/**
 * The open streams of this replica. It is told that something changed, never what: what is sent is read from the database
 * in order of version, so no stream ever holds a version without all before it, whichever replica made them.
 */
export class Hub {
  readonly #services: Services;
  readonly #attached = new Set<Attached>();
  readonly #loops: readonly Loop[];
  /** One piece of work at a time: a stream gets either a change or a snapshot that has it. */
  #work: Promise<unknown> = Promise.resolve();
  #version = 0;
  #sealedSize = 0;

  constructor(services: Services) {
    this.#services = services;
    this.#loops = [
      startLoop(services, { name: 'push stream', every: pollMs, on: ['runs', 'sealed'], round: () => this.#inOrder(() => this.#push()) }),
      startLoop(services, { name: 'push stream heartbeat', every: heartbeatMs, round: () => this.#heartbeat() }),
    ];
  }

  async stop(): Promise<void> {
    await Promise.all(this.#loops.map((loop) => loop.stop()));
    await this.#work;
  }

  /** Answers with the stream, beginning with a snapshot of all that is live. */
  async attach(ctx: Context, proxy_id: string, journal_id: string | undefined): Promise<void> {
    await this.#inOrder(async () => {
      await this.#push();
      const snapshot = await this.#snapshot();
      const text = snapshotLines(snapshot);
      const connection_id = this.#services.random(16).toString('hex');
      await makeChange(this.#services, (change) => upsertProxy(change.trx, { proxy_id, connection_id, at: change.at, connected_until: change.at + connectionMs, journal_id }));
      const stream = this.#services.streams.open(ctx.res, 'application/x-ndjson', text.length * 3 + maxWaitingBytes);
      ctx.respond = false;
      const attached: Attached = { stream, proxy_id, connection_id, journal_id, revision: snapshot.revision, recalls: new Set() };
      if (this.#attached.size === 0) {
        this.#version = snapshot.version;
        this.#sealedSize = snapshot.sealedSize;
      }
      this.#attached.add(attached);
      stream.closed.addEventListener('abort', () => { this.#detach(attached); }, { once: true });
      stream.write(text);
      await this.#pushRecalls();
    });
  }

  async #snapshot() {
    const database = this.#services.database.kysely;
    // In this order: what is read later may hold more than the version says, never less.
    const sealedAt = await sealedSize(database);
    const state = await selectState(database);
    const runs = await liveSnapshots(database);
    return {
      incarnation: await incarnationOf(database),
      revision: state.revision ?? '',
      runs,
      version: Math.max(state.version, ...runs.slice(-1).map(({ version }) => version)),
      sealed: await sealedJournals(database, 0),
      sealedSize: sealedAt,
    };
  }

  /** Sends what has changed since the last time; nothing where nobody listens. */
  async #push(): Promise<void> {
    if (this.#attached.size === 0) return;
    const database = this.#services.database.kysely;
    for (;;) {
      const { revision, revision_version } = await selectState(database);
      const runs = await snapshotsAfter(database, this.#version, batch);
      for (const attached of this.#attached) {
        const told = attached.revision;
        const bundle = revision === undefined || revision === told ? '' : line({ type: 'bundle', version: revision_version, revision });
        if (bundle !== '') attached.revision = revision!;
        const text = bundle + runs.map((run) => line({ type: 'run', ...run })).join('');
        if (text !== '') attached.stream.write(text);
      }
      this.#version = runs.at(-1)?.version ?? this.#version;
      if (runs.length < batch) break;
    }
    await this.#pushRecalls();
    await this.#pushSealed();
  }

  /** Those that are open, once on each stream: whoever comes back is told again of what it has not answered. */
  async #pushRecalls(): Promise<void> {
    const journals = [...this.#attached].flatMap(({ journal_id }) => journal_id ?? []);
    const open = await openRecalls(this.#services.database.kysely, journals);
    for (const attached of this.#attached) {
      const asked = open.filter(({ journal_id }) => journal_id === attached.journal_id);
      const text = recallLines(asked, attached.recalls);
      attached.recalls = new Set(asked.map(keyOf));
      if (text !== '') attached.stream.write(text);
    }
  }

  async #pushSealed(): Promise<void> {
    const database = this.#services.database.kysely;
    const size = await sealedSize(database);
    if (size === this.#sealedSize) return;
    const text = (await sealedJournals(database, this.#sealedSize)).map((journal) => line({ type: 'sealed', ...journal })).join('');
    this.#sealedSize = size;
    if (text === '') return;
    for (const { stream } of this.#attached) stream.write(text);
  }

  async #heartbeat(): Promise<void> {
    if (this.#attached.size === 0) return;
    const text = line({ type: 'heartbeat', at: this.#services.clock.now() });
    for (const { stream } of this.#attached) stream.write(text);
    for (const attached of this.#attached) await this.#setConnected(attached, connectionMs);
  }

  #detach(attached: Attached): void {
    if (!this.#attached.delete(attached)) return;
    this.#setConnected(attached, 0).catch((error: unknown) => { this.#services.onFault(toSallyportError(error), `proxy ${attached.proxy_id}`); });
  }

  async #setConnected({ proxy_id, connection_id }: Attached, forMs: number): Promise<void> {
    await makeChange(this.#services, async (change) => {
      await setConnectedUntil(change.trx, { proxy_id, connection_id, connected_until: change.at + forMs });
      change.signal('acknowledged');
    });
  }

  async #inOrder(work: () => Promise<void>): Promise<void> {
    const mine = this.#work.then(work);
    this.#work = mine.catch(() => { /* Told to who asked for it. */ });
    await mine;
  }
}
