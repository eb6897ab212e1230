import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../contracts/clock.ts';
import type { IngestAnswer } from '../../contracts/data-plane.ts';
import { isId, newId } from '../../contracts/ids.ts';
import { firstPrevious } from '../../contracts/journal.ts';
import { signals } from '../signals.ts';
import { EventWriter } from './egress-events.ts';
import { Journal } from './journal.ts';
import { writeJournalState } from './journal-state.ts';
import { recoverJournal } from './recovery.ts';
import type { Disk } from './segment-file.ts';
import { Shipping } from './shipping.ts';

export interface RecorderOptions {
  /** `<data>/journal/<slot>`, held by this process (slot-lock.ts). */
  readonly folder: string;
  readonly slot: number;
  readonly durability: 'crash' | 'power';
  readonly clock: Clock;
  readonly maxBytes: number;
  readonly send: (bytes: Buffer) => Promise<IngestAnswer>;
  readonly disk?: Disk;
}

/** All of a worker's recording: its journal, what older ones left, and their way to the control plane. */
export interface Recorder {
  readonly proxy_id: string;
  readonly events: EventWriter;
  readonly journal: Journal;
  readonly shipping: Shipping;
  /** Ends the journal and gives its last sequence. `complete`: nothing of it is in doubt, so the next worker has nothing to recover. */
  readonly end: (complete: boolean) => Promise<number>;
}

/** Takes over the slot's folder: journals that were left there are ended and shipped before the new one. */
export async function startRecorder(options: RecorderOptions): Promise<Recorder> {
  const { folder, slot, durability, clock, maxBytes, send, disk } = options;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const proxy_id = await proxyId(folder, clock);
  const events = new EventWriter(clock, proxy_id);
  /** Segments of the live journal that are on disk, and the last one that is not. */
  const onDisk: Deleted[] = [];
  let deleted: Deleted = { sequence: -1, digest: firstPrevious };
  let journal: Journal | undefined;
  const refresh = (): void => { if (journal !== undefined) journal.refusal = shipping.refusal(journal.journal_id); };
  let trouble: string | undefined;

  const shipping = new Shipping({
    send, clock, maxBytes,
    onTrouble: (problem) => {
      // The same is tried again and again while it lasts.
      if (trouble !== problem?.message) signals.shipping.publish({ problem });
      trouble = problem?.message;
      refresh();
    },
    beforeDeletion: async (journalId, through) => {
      // A journal that has ended says so already, and needs no more: its last record names what was open.
      if (journal?.journal_id !== journalId) return;
      const count = onDisk.findIndex(({ sequence }) => sequence === through) + 1;
      deleted = onDisk.splice(0, count).at(-1)!;
      await writeJournalState(join(folder, journalId), { through, digest: deleted.digest, closed: false, open: [...journal.open.begunThrough(through)] });
    },
  });

  for (const name of (await readdir(folder)).filter((entry) => isId('journal', entry)).sort()) {
    const recovered = await recoverJournal(join(folder, name), name, (id, open) => events.recovered(id, open).text);
    if (recovered.crashed) signals.recovered.publish({ journal_id: name, segments: recovered.segments.length });
    if (recovered.segments.length === 0) await rm(recovered.folder, { recursive: true });
    else shipping.addJournal(name, recovered.folder, false, recovered.segments);
  }

  const journal_id = newId('journal', clock.now());
  const own = join(folder, journal_id);
  await mkdir(own, { mode: 0o700 });
  shipping.addJournal(journal_id, own, true, []);
  journal = new Journal({
    folder: own, journal_id, durability, clock, ...(disk !== undefined && { disk }),
    onClosed: (segment) => {
      onDisk.push({ sequence: segment.sequence, digest: segment.digest });
      shipping.add(segment);
      refresh();
    },
    onAvailability: (problem) => signals.journal.publish({ problem }),
    omission: (records) => events.omitted(records).text,
  });
  journal.note(events.opened(journal_id, slot).text);

  return {
    proxy_id, events, journal, shipping,
    async end(complete) {
      const through = await journal.end();
      if (complete) await writeJournalState(own, { through: deleted.sequence, digest: deleted.digest, closed: true, open: [] });
      return through;
    },
  };
}

interface Deleted {
  readonly sequence: number;
  readonly digest: string;
}

/** The same for every worker of a slot: a restarted one takes its predecessor's place at the control plane. */
async function proxyId(folder: string, clock: Clock): Promise<string> {
  const file = join(folder, 'proxy-id');
  const known = await readFile(file, 'utf8').catch(() => '');
  if (isId('proxy', known)) return known;
  const id = newId('proxy', clock.now());
  await writeFile(file, id, { mode: 0o600 });
  return id;
}
