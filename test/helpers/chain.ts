import { createPrivateKey } from 'node:crypto';
import { leafOf, makeEntry, type Entry, type EntryHeader } from '../../contracts/entry.ts';
import type { Event } from '../../contracts/event.ts';
import { ExportWriter } from '../../contracts/export.ts';
import type { JsonObject } from '../../contracts/json.ts';
import { append, emptyFrontier, rootOf } from '../../contracts/merkle-tree.ts';
import { signSeal, type SealLine } from '../../contracts/seal.ts';
import { formatVerifierKey, rawPublicKey, type NoteSigner } from '../../contracts/signed-note.ts';

/** RFC 8410, section 7: what stands before the seed of an Ed25519 key in PKCS #8. */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The key of which each seed byte is `seed`: the same in every run. */
export function signerOf(name: string, seed: number): NoteSigner {
  const private_key = createPrivateKey({ key: Buffer.concat([pkcs8, Buffer.alloc(32, seed)]), format: 'der', type: 'pkcs8' });
  return { name, private_key, public_key: rawPublicKey(private_key) };
}

export interface ChainEntry {
  readonly header: EntryHeader;
  readonly events: readonly Event[];
  /** Seal the head after this entry. */
  readonly seal?: boolean;
  readonly incarnation?: string;
}

export const chainEvent = (index: number, facts: JsonObject = {}, payload: JsonObject = { url: `http://site.example/${index}`, headers: [['host', 'site.example']] }): Event => ({
  v: 1, event_id: `01920000-0000-7000-8000-${index.toString(16).padStart(12, '0')}`, type: 'egress.decided', at: 1_732_464_000_000 + index, run_id: 'run_1', causes: [],
  actor: { kind: 'proxy', id: 'prx_1' }, policy: { revision: 'r1', rules: ['run.allow'] }, facts: { egress_id: `egr_${index}`, ...facts }, payload,
});

/** An export as the control plane writes it, and the seals in it. */
export function exportOf(entries: readonly ChainEntry[], signer: NoteSigner): { readonly text: string; readonly seals: readonly SealLine[] } {
  const writer = new ExportWriter({ origin: signer.name, incarnation: 'inc_1', public_key: formatVerifierKey(signer), created_at: 1_732_464_100_000 });
  const seals: SealLine[] = [];
  let text = writer.start();
  let frontier = emptyFrontier;
  let salt = 0;
  for (const { header, events, seal, incarnation } of entries) {
    const entry: Entry = makeEntry(header, events, () => (salt++).toString(16).padStart(32, '0'));
    const leaf = leafOf(entry);
    text += writer.entry(entry, leaf);
    frontier = append(frontier, leaf);
    if (seal !== true) continue;
    const line = signSeal({ origin: signer.name, size: frontier.size, root: rootOf(frontier), incarnation: incarnation ?? 'inc_1', at: 1_732_464_000_000 + frontier.size }, signer);
    seals.push(line);
    text += writer.seal(line);
  }
  return { text: text + writer.end(), seals };
}
