import test from 'ava';
import * as fc from 'fast-check';
import { ExportVerifier, verifyExport, type Pinned, type VerificationCode, type VerificationReport } from '../../contracts/verify.ts';
import { exportLineMaxBytes } from '../../contracts/export.ts';
import { LineSplitter } from '../../contracts/lines.ts';
import { formatVerifierKey } from '../../contracts/signed-note.ts';
import { chainEvent, exportOf, signerOf, type ChainEntry } from '../helpers/chain.ts';

const origin = 'sallyport.example/main';
const signer = signerOf(origin, 7);

const transaction = (index: number, count: number, seal = false): ChainEntry => ({
  header: { v: 1, kind: 'transaction', entry_id: `ent_${index}` }, seal,
  events: Array.from({ length: count }, (_, each) => chainEvent(index * 100 + each)),
});
const segment = (index: number, sequence: number, count: number, seal = false): ChainEntry => ({
  ...transaction(index, count, seal), header: { v: 1, kind: 'segment', entry_id: `ent_${index}`, journal_id: 'jnl_1', sequence },
});

const entries = [transaction(0, 1), segment(1, 0, 3, true), segment(2, 1, 2), transaction(3, 2), segment(4, 2, 1, true), transaction(5, 1, true)];
const { text, seals } = exportOf(entries, signer);
const lines = text.split('\n').slice(0, -1);
const pinned: Pinned = { key: signer, seals: seals.map(({ note }) => note) };

/** As the command does it: bytes in, report out. */
function verifyBytes(bytes: Uint8Array, pins: Pinned = {}): VerificationReport {
  const verifier = new ExportVerifier(pins);
  const splitter = new LineSplitter(exportLineMaxBytes);
  try {
    for (const line of splitter.push(bytes)) verifier.line(line);
    return verifier.finish(splitter.unfinished === 0);
  } catch {
    return verifier.finish(false);
  }
}

const codes = (report: VerificationReport): readonly VerificationCode[] => report.problems.map(({ code }) => code);
const bytesOf = (changed: readonly string[]): Uint8Array => new Uint8Array(Buffer.from(changed.map((line) => `${line}\n`).join('')));

test('an untouched export verifies, with and without pins', (t) => {
  const expected = { ok: true, entries: 6, events: 10, shredded: 0, seals: 3, sealed: 6, origin, incarnation: 'inc_1', key: formatVerifierKey(signer), problems: [], problems_omitted: 0 };
  t.like(verifyBytes(new Uint8Array(Buffer.from(text))), { ...expected, trusted_key: false });
  const report = verifyBytes(new Uint8Array(Buffer.from(text)), pinned);
  t.like(report, { ...expected, trusted_key: true });
  t.deepEqual(report.head, { size: 6, root: seals.at(-1)!.root });
  t.deepEqual(verifyExport(lines, pinned), report);
});

/** Of every kind of line one or two, so that each of its bytes can be tried. */
const small = exportOf([transaction(0, 1), segment(1, 0, 2, true)], signer).text;

test('every single changed byte is found, without any pin', (t) => {
  t.true(verifyBytes(new Uint8Array(Buffer.from(small))).ok);
  const bytes = new Uint8Array(Buffer.from(small));
  for (let at = 0; at < bytes.length; at++) {
    for (const flip of [1 << (at % 8), 0x20]) {
      const changed = bytes.slice();
      changed[at]! ^= flip;
      if (verifyBytes(changed).ok) t.fail(`byte ${at} (${JSON.stringify(small.slice(at - 20, at + 20))}) ^ ${flip}`);
    }
  }
  t.pass();
});

test('every byte taken away or doubled is found', (t) => {
  const bytes = Buffer.from(small);
  for (let at = 0; at < bytes.length; at++) {
    const without = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
    const doubled = Buffer.concat([bytes.subarray(0, at + 1), bytes.subarray(at)]);
    if (verifyBytes(without).ok || verifyBytes(doubled).ok) t.fail(`byte ${at}`);
  }
  t.pass();
});

test('every line removed, doubled, or swapped with another is found', (t) => {
  for (let one = 0; one < lines.length; one++) {
    t.false(verifyBytes(bytesOf(lines.toSpliced(one, 1))).ok, `line ${one} removed`);
    t.false(verifyBytes(bytesOf(lines.toSpliced(one, 0, lines[one]!))).ok, `line ${one} doubled`);
    for (let other = one + 1; other < lines.length; other++) {
      t.false(verifyBytes(bytesOf(lines.with(one, lines[other]!).with(other, lines[one]!))).ok, `lines ${one} and ${other} swapped`);
    }
  }
});

test('cut anywhere, at a line or within one, an export is not whole', (t) => {
  const bytes = new Uint8Array(Buffer.from(text));
  for (let length = 0; length < bytes.length; length += 13) t.false(verifyBytes(bytes.subarray(0, length)).ok, `${length}`);
  for (let count = 0; count < lines.length; count++) {
    const report = verifyBytes(bytesOf(lines.slice(0, count)));
    t.true(codes(report).includes(count === 0 ? 'not_an_export' : 'truncated'), `${count} lines`);
  }
  t.false(verifyBytes(new Uint8Array(Buffer.from(`${text}x`))).ok);
  t.false(verifyBytes(new Uint8Array(Buffer.from(`${text}\n`))).ok);
});

/** What someone with the database can do: change entries and write a flawless export of the result, keeping the seals that fit. */
function rewritten(changed: readonly ChainEntry[], keep: (index: number) => boolean, key = signer): string {
  const result = exportOf(changed.map((entry) => ({ ...entry, seal: entry.seal === true && keep(Number(entry.header.entry_id.slice(4))) })), key);
  return result.text;
}

test('a tree that was written anew is found by the seals that were in it', (t) => {
  const changed = entries.with(2, segment(2, 1, 1));
  // Whoever holds the database but not the key has to put the old seals into the new tree.
  const forged = exportOf(changed, signerOf(origin, 8)).text.split('\n').slice(0, -1);
  const place = forged.flatMap((line, index) => (line.startsWith('{"at":') ? [index] : []));
  const old = lines.filter((line) => line.startsWith('{"at":'));
  const withOld = forged.map((line, index) => (place.includes(index) ? old[place.indexOf(index)]! : line)).with(0, lines[0]!);
  const report = verifyExport(withOld, { key: signer });
  t.deepEqual([...new Set(codes(report))].filter((code) => code !== 'end_mismatch'), ['history_rewritten']);
  t.is(report.sealed, 2);
});

test('a tree that was written anew and sealed by another key is found by the pinned key', (t) => {
  const forged = exportOf(entries.with(2, segment(2, 1, 1)), signerOf(origin, 8)).text.split('\n').slice(0, -1);
  t.true(verifyExport(forged).ok, 'by itself it is flawless');
  const report = verifyExport(forged, { key: signer });
  t.true(codes(report).includes('key_mismatch') && codes(report).includes('seal_invalid'));
  t.false(report.ok);
});

test('a tree that was written anew by whoever has the key is found by a pinned seal', (t) => {
  const forged = exportOf(entries.with(2, segment(2, 1, 1)), signer).text.split('\n').slice(0, -1);
  t.true(verifyExport(forged, { key: signer }).ok, 'by itself it is flawless');
  t.true(verifyExport(forged, { key: signer, seals: [seals[0]!.note] }).ok, 'what that seal covers is unchanged');
  t.deepEqual(codes(verifyExport(forged, { key: signer, seals: [seals[1]!.note] })), ['history_rewritten']);
  t.is(verifyExport(forged, { key: signer, seals: [seals[1]!.note] }).problems[0]!.where, 'pinned seal 1');
});

test('a tail cut off behind a flawless end is found by a pinned seal', (t) => {
  const forged = exportOf(entries.slice(0, 5), signer).text.split('\n').slice(0, -1);
  t.true(verifyExport(forged, { key: signer }).ok, 'by itself it is flawless');
  t.deepEqual(codes(verifyExport(forged, { key: signer, seals: [seals.at(-1)!.note] })), ['truncated']);
});

test('an export without a valid seal proves nothing', (t) => {
  const unsealed = rewritten(entries, () => false).split('\n').slice(0, -1);
  t.deepEqual(codes(verifyExport(unsealed, { key: signer })), ['unsealed']);
  const early = verifyExport(rewritten(entries, (index) => index === 1).split('\n').slice(0, -1), { key: signer });
  t.like(early, { ok: true, entries: 6, sealed: 2 });
});

test('pinned seals have to be of this chain and by this key', (t) => {
  const foreign = exportOf(entries, signerOf(origin, 8)).seals[0]!.note;
  const elsewhere = exportOf(entries, signerOf('sallyport.example/other', 7)).seals[0]!.note;
  for (const note of [foreign, elsewhere, 'x']) t.deepEqual(codes(verifyExport(lines, { key: signer, seals: [note] })), ['seal_invalid']);
  t.true(codes(verifyExport(lines, { key: signerOf('sallyport.example/other', 7) })).includes('key_mismatch'));
});

test('a journal with a segment missing is found, although every leaf and seal fits', (t) => {
  const { text: gap } = exportOf([segment(0, 4, 1), segment(1, 6, 1, true)], signer);
  t.deepEqual(codes(verifyExport(gap.split('\n').slice(0, -1))), ['journal_gap']);
  const { text: whole } = exportOf([segment(0, 4, 1), segment(1, 5, 1, true)], signer);
  t.true(verifyExport(whole.split('\n').slice(0, -1)).ok);
});

test('seals of a database that was replaced don\'t come back', (t) => {
  const of = (...incarnations: readonly string[]): VerificationReport => verifyExport(exportOf(incarnations.map((incarnation, index) => ({ ...transaction(index, 1, true), incarnation })), signer).text.split('\n').slice(0, -1));
  t.true(of('inc_1', 'inc_1', 'inc_2', 'inc_2').ok);
  t.deepEqual(codes(of('inc_1', 'inc_2', 'inc_1')), ['incarnation_returned']);
});

test('shredded payloads don\'t break the proof, and are counted', (t) => {
  const at = lines.findIndex((line) => line.startsWith('{"event":'));
  const line = lines[at]!;
  const shredded = `${line.slice(0, line.indexOf(',"payload":'))}}`;
  t.like(verifyExport(lines.with(at, shredded), pinned), { ok: true, shredded: 1 });
});

test('the first place that fails is told', (t) => {
  const at = lines.findIndex((line) => line.includes('egr_200'));
  const payload = verifyExport(lines.with(at, lines[at]!.replace('http://', 'http:/.')), pinned);
  t.like(payload.problems[0], { code: 'event_changed', where: `line ${at + 1}, entry 2` });
  t.is(payload.problems.length, 1);
  const fact = verifyExport(lines.with(at, lines[at]!.replace('egr_200', 'egr_299')), pinned);
  t.like(fact.problems[0], { code: 'entry_changed', where: `line ${at + 2}, entry 2` });
});

test('an empty chain verifies', (t) => {
  t.like(verifyExport(exportOf([], signer).text.split('\n').slice(0, -1)), { ok: true, entries: 0, events: 0, sealed: 0 });
});

test('problems have a bound, and what is no export is said once', (t) => {
  const wrong = verifyExport([...lines.slice(0, 1), ...Array.from({ length: 500 }, () => 'x')]);
  t.is(wrong.problems.length, 100);
  t.true(wrong.problems_omitted >= 400);
  for (const first of ['', 'x', '{}', lines[1]!, `${lines[0]!} `, lines[0]!.replace('"v":1', '"v":2')]) t.deepEqual(codes(verifyExport([first, ...lines.slice(1)])), ['not_an_export']);
});

test('arbitrary lines never pass and never throw', (t) => {
  const any = fc.array(fc.oneof(fc.string(), fc.constantFrom(...lines), fc.json()), { maxLength: 12 });
  fc.assert(fc.property(any, (list) => {
    t.false(verifyExport(list, pinned).ok);
  }), { numRuns: 300 });
});

test('lines come whole out of any chunks', (t) => {
  fc.assert(fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 10 }).map((line) => line.replaceAll('\n', ''))), fc.array(fc.nat(20)), (list, sizes) => {
    const bytes = Buffer.from(list.map((line) => `${line}\n`).join(''));
    const splitter = new LineSplitter(1000);
    const out: string[] = [];
    let at = 0;
    for (const size of [...sizes, bytes.length]) {
      out.push(...splitter.push(bytes.subarray(at, at + size)));
      at += size;
    }
    t.deepEqual(out, list);
    t.is(splitter.unfinished, 0);
  }));
});

test('lines that are too long or no UTF-8 are refused', (t) => {
  t.throws(() => new LineSplitter(10).push(Buffer.from(`${'x'.repeat(11)}\n`)), { message: /longer than 10/ });
  t.throws(() => new LineSplitter(10).push(Buffer.from('é'.repeat(6) + '\n')), { message: /longer than 10/ });
  t.throws(() => new LineSplitter(10).push(Buffer.alloc(11, 0x61)), { message: /longer than 10/ });
  t.throws(() => new LineSplitter(10).push(Buffer.of(0xff, 0x0a)), { message: /UTF-8/ });
  t.deepEqual(new LineSplitter(10).push(Buffer.from(`${'é'.repeat(5)}\n`)), ['é'.repeat(5)]);
});
