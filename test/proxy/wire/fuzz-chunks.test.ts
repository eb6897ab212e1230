/**
 * Chunked bodies against a second decoder, written from RFC 9112, section 7.1, with next to none of its leniency.
 * A failure prints its seed and path: hence, inside the properties, assertions of Node, which fast-check sees.
 */
import assert from 'node:assert/strict';
import test from 'ava';
import * as fc from 'fast-check';
import { bodyReader } from '../../../proxy/wire/body.ts';
import { fuzzRuns } from '../../helpers/fuzz.ts';
import { heldBytes } from '../wire-world.ts';
import { cuts, mutated, split } from './mutations.ts';

interface Decoded {
  readonly content: string;
  readonly trailers: readonly string[];
  readonly consumed: number;
}

const token = '[!#$%&\'*+.^_`|~0-9A-Za-z-]+';
const quoted = '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t \\x21-\\x7e\\x80-\\xff])*"';
const strictLine = new RegExp(`([0-9A-Fa-f]+)(?:;${token}(?:=(?:${token}|${quoted}))?)*\\r\\n`, 'y');
/** llhttp takes some extensions beyond the grammar (`;;a=b"c"`): none is passed on, and none can hold a line end or a control character. */
const lenientLine = new RegExp(`([0-9A-Fa-f]+)(?:;(?:[;=]|${token}|${quoted})+)?\\r\\n`, 'y');
const trailerLine = new RegExp(`(${token}):[ \\t]*((?:[\\t\\x20-\\x7e\\x80-\\xff])*?)[ \\t]*\\r\\n(?![ \\t])`, 'y');

/** Undefined: not a whole chunked body at the start of `text`. */
function decode(text: string, sizeLine: RegExp): Decoded | undefined {
  let at = 0;
  let content = '';
  const next = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  for (;;) {
    const line = next(sizeLine);
    if (line === null) return undefined;
    const size = BigInt(`0x${line[1]!}`);
    if (size === 0n) break;
    if (size > BigInt(text.length)) return undefined;
    content += text.slice(at, at + Number(size));
    at += Number(size);
    if (text.slice(at, at + 2) !== '\r\n') return undefined;
    at += 2;
  }
  const trailers: string[] = [];
  while (text.slice(at, at + 2) !== '\r\n') {
    const field = next(trailerLine);
    if (field === null) return undefined;
    trailers.push(field[1]!, field[2]!);
  }
  return { content, trailers, consumed: at + 2 };
}

const bases = [
  '5\r\nhello\r\n0\r\n\r\n',
  '5;a=b;c="d \\" e"\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n',
  '0\r\nX-A: 1\r\nx-b:\t2 \r\nX-C:\r\n\r\n',
  '0000000000000000000000000001\r\nx\r\n2\r\n\r\n\r\n000;e\r\nT: \xe9\r\n\r\n',
];
const body = mutated(bases.flatMap((base) => [base, `${base}GET / HTTP/1.1\r\n\r\n`]));
/** llhttp knows these from heads and refuses them in trailers, as `judgeTrailers` would. */
const refusedByName = /^(?:content-length|transfer-encoding)$/i;

test('a chunked body is read as the grammar has it, whatever its split, and nothing is left behind', (t) => {
  const counts = { done: 0, other: 0 };
  const runs = fuzzRuns(17.5);
  const held = heldBytes();
  const began = performance.now();
  fc.assert(fc.property(body, cuts, (bytes, at) => {
    const reader = bodyReader({ kind: 'chunked' });
    let content = '';
    let consumed = 0;
    for (const piece of split(bytes, at)) {
      if (reader.state !== 'more') break;
      content += Buffer.concat(reader.read(piece)).toString('latin1');
      consumed += reader.consumed;
    }
    reader.finish();
    const text = bytes.toString('latin1');
    const atMost = decode(text, lenientLine);
    const ours = reader.state === 'done' ? { content, trailers: [...reader.trailers], consumed } : undefined;
    reader.release();
    counts[ours === undefined ? 'other' : 'done']++;
    if (ours !== undefined) assert.deepEqual(ours, atMost);
    const foreign = atMost?.trailers.some((name, index) => index % 2 === 0 && refusedByName.test(name)) === true;
    if (!foreign && ours === undefined) assert.equal(decode(text, strictLine), undefined, reader.problem);
  }), { numRuns: runs });
  t.log(`${runs} cases, ${Math.round(runs / (performance.now() - began) * 1000)}/s; ${JSON.stringify(counts)}`);
  t.true(counts.done > runs / 10 && counts.other > runs / 10, JSON.stringify(counts));
  t.true(heldBytes() < held + 8_000_000, 'memory grows');
});
