import * as fc from 'fast-check';

/** Bytes and lines that parsers disagree about. */
const nasty = [
  '\r', '\n', '\r\n', '\r\n ', '\r\n\t', '\n\r', '\r\r\n', '\0', ' ', '  ', '\t', ':', ' :', ',', ';', '"', '\x0b', '\x0c', '\x1f', '\x7f', '\x80', '\xa0', '\xe9', '\xff', '0', '00', '-', '+', '0x', '_', 'a', 'F',
  'Content-Length: 3\r\n', 'Content-Length: 0\r\n', 'content-length:5\r\n', 'Content-Length: 5, 5\r\n', 'Content-Length: 05\r\n', 'Content_Length: 3\r\n', 'Transfer-Encoding: chunked\r\n', 'Transfer-Encoding: identity\r\n',
  'transfer-encoding:chunked\r\n', 'Transfer-Encoding: gzip, chunked\r\n', 'TE: trailers\r\n', 'Trailer: X\r\n', 'Host: b.test\r\n', 'Host: a.test\r\n', 'Connection: close\r\n', 'Connection: x-hop\r\nX-Hop: 1\r\n', 'Connection: keep-alive, te\r\n',
  'Connection: content-length\r\n', 'Connection: upgrade\r\nUpgrade: h2c\r\n', 'Connection: upgrade\r\nUpgrade: websocket\r\n', 'Expect: 100-continue\r\n', 'Expect: x\r\n', 'Upgrade: h2c\r\n', 'Max-Forwards: 0\r\n', 'Max-Forwards: 7\r\n',
  'Proxy-Authorization: Basic x\r\n', 'Proxy-Connection: close\r\n', 'Keep-Alive: 5\r\n', 'X-Empty:\r\n', 'X: \t y \t\r\n', 'Set-Cookie: a=b\r\n', 'chunked', 'HTTP/1.0', 'HTTP/1.1', 'HTTP/1.1 100 Continue\r\n\r\n', '0\r\n\r\n', '5\r\nhello\r\n', '5;x="y"\r\nhello\r\n',
  'GET / HTTP/1.1\r\n', '\r\n\r\n',
];

export interface Edit {
  readonly kind: 'insert' | 'insertAtLine' | 'overwrite' | 'cut' | 'repeatLine' | 'swapLines' | 'dropLine' | 'truncate' | 'case';
  readonly at: number;
  readonly length: number;
  readonly text: string;
}

const edit: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom<Edit['kind']>('insert', 'insertAtLine', 'insertAtLine', 'insertAtLine', 'overwrite', 'cut', 'repeatLine', 'swapLines', 'dropLine', 'truncate', 'case'),
  at: fc.nat(1000),
  length: fc.nat(4),
  text: fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...nasty) }, { weight: 1, arbitrary: fc.string({ maxLength: 4, unit: 'binary-ascii' }) }),
});

/** `text` with one edit. Lines keep their ends, whatever these are. */
function apply(text: string, { kind, at, length, text: put }: Edit): string {
  const where = at % (text.length + 1);
  const lines = text.split(/(?<=\n)/);
  const line = at % lines.length;
  switch (kind) {
    case 'insert': return text.slice(0, where) + put + text.slice(where);
    case 'insertAtLine': return lines.toSpliced(line, 0, put).join('');
    case 'overwrite': return text.slice(0, where) + put + text.slice(where + put.length);
    case 'cut': return text.slice(0, where) + text.slice(where + length + 1);
    case 'repeatLine': return lines.toSpliced(line, 0, lines[line]!).join('');
    case 'swapLines': {
      const other = (line + 1 + length) % lines.length;
      return lines.with(line, lines[other]!).with(other, lines[line]!).join('');
    }
    case 'dropLine': return lines.toSpliced(line, 1).join('');
    case 'truncate': return at % 4 === 0 ? text.slice(0, where) : text;
    case 'case': return text.slice(0, where) + text.slice(where, where + length + 4).toUpperCase() + text.slice(where + length + 4);
  }
}

/** One or two of `bases` behind each other, with up to four edits, as bytes. */
export function mutated(bases: readonly string[]): fc.Arbitrary<Buffer> {
  const base = fc.constantFrom(...bases);
  const joined = fc.oneof({ weight: 4, arbitrary: base }, { weight: 1, arbitrary: fc.tuple(base, base).map((two) => two.join('')) });
  return fc.tuple(joined, fc.array(edit, { maxLength: 4 })).map(([text, edits]) => Buffer.from(edits.reduce(apply, text), 'latin1'));
}

/** Where to cut a stream of bytes, in thousandths of its length. */
export const cuts: fc.Arbitrary<readonly number[]> = fc.array(fc.nat(1000), { maxLength: 4 });

/** `bytes` in pieces of their own memory. */
export function split(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set(at.map((thousandth) => Math.floor(bytes.length * thousandth / 1000)))].sort((a, b) => a - b);
  const pieces: Buffer[] = [];
  let start = 0;
  for (const place of [...places, bytes.length]) {
    if (place > start) pieces.push(Buffer.from(bytes.subarray(start, place)));
    start = place;
  }
  return pieces;
}
