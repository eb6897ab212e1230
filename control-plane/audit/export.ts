import { once } from 'node:events';
import type { EntryHeader } from '../../contracts/entry.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { ExportWriter } from '../../contracts/export.ts';
import { verifySeal } from '../../contracts/seal.ts';
import { formatVerifierKey } from '../../contracts/signed-note.ts';
import type { Context } from '../http/context.ts';
import type { Services } from '../services.ts';
import { unpack } from './packed-body.ts';
import { selectSeals } from './seal-store.ts';
import type { Sealer } from './sealer.ts';
import { sequence } from './sequencer.ts';
import { selectEntries, selectTree, type EntryRow } from './store.ts';

/** Entries and seals read at a time; bodies are unpacked one by one. */
const batch = 100;

/**
 * The whole chain up to now, as contracts/export.ts has it. What was not sealed yet is sealed before, so that all of it is signed. Seals
 * of another replica's key are left out: an export is verified with one key.
 */
export async function exportChain(services: Services, sealer: Sealer, ctx: Context, from: number): Promise<void> {
  if (from !== 0) throw new SallyportError('not_supported', 'An export begins at entry 0: a part of the chain cannot be verified alone.');
  await sequence(services);
  await sealer.sealRest();
  const { size, incarnation } = await selectTree(services.database.kysely);
  const { signer } = sealer;
  const writer = new ExportWriter({ origin: signer.name, incarnation, public_key: formatVerifierKey(signer), created_at: services.clock.now() });

  ctx.respond = false;
  const { res } = ctx;
  res.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  const closed = new Promise<void>((resolve) => { res.once('close', () => resolve()); });
  for await (const text of exportText(services, sealer, writer, size)) {
    // The client's pace: at most one batch waits for it.
    if (!res.write(text)) await Promise.race([once(res, 'drain'), closed]);
    if (res.destroyed) return;
  }
  res.end();
}

async function* exportText(services: Services, sealer: Sealer, writer: ExportWriter, size: number): AsyncGenerator<string> {
  yield writer.start();
  const seals = sealsOf(services, sealer, size);
  let next = await seals.next();
  while (writer.size < size) {
    const rows = await selectEntries(services.database.kysely, writer.size, size, batch);
    if (rows.length === 0) throw new SallyportError('internal', `Entry ${writer.size} is missing in the database.`);
    for (const row of rows) {
      yield writer.entry({ header: headerOf(row), body: await unpack(row) }, Uint8Array.from(Buffer.from(row.leaf, 'hex')));
      for (; next.done !== true && next.value.size <= writer.size; next = await seals.next()) {
        if (next.value.size === writer.size) yield writer.seal(next.value);
      }
    }
  }
  yield writer.end();
}

async function* sealsOf(services: Services, { signer }: Sealer, size: number) {
  let after = { size: 0, seal_id: 0 };
  for (;;) {
    const rows = await selectSeals(services.database.kysely, size, after, batch);
    for (const row of rows) if (verifySeal(row.note, signer).ok) yield row;
    const last = rows.at(-1);
    if (last === undefined) return;
    after = last;
  }
}

function headerOf({ entry_id, kind, journal_id, sequence }: EntryRow): EntryHeader {
  return kind === 'transaction' ? { v: 1, kind, entry_id } : { v: 1, kind, entry_id, journal_id: journal_id!, sequence: sequence! };
}
