/** How many events a second one core verifies. Usage: bin/sallyport-node bench/verify.ts [events] */
import { createPrivateKey } from 'node:crypto';
import { leafOf, makeEntry } from '../contracts/entry.ts';
import type { Event } from '../contracts/event.ts';
import { ExportWriter, exportLineMaxBytes } from '../contracts/export.ts';
import { uuidv7 } from '../contracts/ids.ts';
import { segmentMaxRecords } from '../contracts/journal.ts';
import { LineSplitter } from '../contracts/lines.ts';
import { append, emptyFrontier, rootOf } from '../contracts/merkle-tree.ts';
import { signSeal } from '../contracts/seal.ts';
import { formatVerifierKey, rawPublicKey } from '../contracts/signed-note.ts';
import { ExportVerifier } from '../contracts/verify.ts';

const goal = 200_000;
const total = Number(process.argv[2] ?? 200_000);
const rounds = 5;
const chunkBytes = 64 * 1024;
const at = 1_732_464_000_000;

/** RFC 8410, section 7; the seed is of no account here. */
const private_key = createPrivateKey({ key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 1)]), format: 'der', type: 'pkcs8' });
const signer = { name: 'sallyport.example/bench', private_key, public_key: rawPublicKey(private_key) };

function event(index: number): Event {
  return {
    v: 1, event_id: uuidv7(at + index), type: 'egress.completed', at: at + index, session_id: `ses_${uuidv7(at)}`, run_id: `run_${uuidv7(at)}`, causes: [uuidv7(at)],
    actor: { kind: 'proxy', id: 'prx_1' }, facts: { egress_id: `egr_${uuidv7(at)}`, spent: { bytes_out: 160, bytes_in: 1400 } },
    payload: { status: 200, address: '20.30.40.50', response_headers: [['content-type', 'text/plain'], ['content-length', '1024'], ['date', 'Sun, 24 Nov 2024 16:00:00 GMT']], first_byte_ms: 1, duration_ms: 2 },
  };
}

function makeExport(): Buffer {
  const writer = new ExportWriter({ origin: signer.name, incarnation: 'inc_1', public_key: formatVerifierKey(signer), created_at: at });
  const parts = [writer.start()];
  let frontier = emptyFrontier;
  for (let done = 0; done < total; done += segmentMaxRecords) {
    const events = Array.from({ length: Math.min(segmentMaxRecords, total - done) }, (_, index) => event(done + index));
    const entry = makeEntry({ v: 1, kind: 'segment', entry_id: `ent_${done}`, journal_id: 'jnl_1', sequence: done / segmentMaxRecords }, events, () => '0'.repeat(32));
    const leaf = leafOf(entry);
    frontier = append(frontier, leaf);
    parts.push(writer.entry(entry, leaf));
    // A seal each 10,000 events, as when busy, and at the end.
    if (frontier.size % 10 === 0 || done + segmentMaxRecords >= total) {
      parts.push(writer.seal(signSeal({ origin: signer.name, size: frontier.size, root: rootOf(frontier), incarnation: 'inc_1', at }, signer)));
    }
  }
  return Buffer.from(parts.join('') + writer.end());
}

const bytes = makeExport();
const rates: number[] = [];
for (let round = 0; round < rounds; round++) {
  const start = performance.now();
  const verifier = new ExportVerifier({ key: signer });
  const splitter = new LineSplitter(exportLineMaxBytes);
  for (let from = 0; from < bytes.length; from += chunkBytes) for (const line of splitter.push(bytes.subarray(from, from + chunkBytes))) verifier.line(line);
  const report = verifier.finish(splitter.unfinished === 0);
  if (!report.ok || report.events !== total) throw new Error(`the export does not verify: ${JSON.stringify(report)}`);
  rates.push(total / (performance.now() - start) * 1000);
}
rates.sort((a, b) => a - b);
const figure = (rate: number): string => Math.round(rate).toLocaleString('en');
console.log(`${figure(total)} events, ${Math.round(bytes.length / total)} bytes each in the export, one core, ${rounds} rounds`);
console.log(`verified: median ${figure(rates[rounds >> 1]!)} events/s (range ${figure(rates[0]!)} to ${figure(rates.at(-1)!)}); goal ${figure(goal)}`);
