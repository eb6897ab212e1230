/** What the test world's DNS server needs of RFC 1035: one question in, a reply with A, AAAA and CNAME records out. */

export const recordTypes = { A: 1, CNAME: 5, AAAA: 28 } as const;
export const responseCodes = { noError: 0, formatError: 1, serverFailure: 2, nameError: 3, refused: 5 } as const;

export interface Question {
  readonly id: number;
  readonly recursionDesired: boolean;
  /** As asked, without the final dot. */
  readonly name: string;
  readonly type: number;
  /** The question as it came, to be echoed: clients compare its spelling. */
  readonly bytes: Buffer;
}

export interface ResourceRecord {
  readonly name: string;
  readonly type: keyof typeof recordTypes;
  /** An address, or for CNAME a name. */
  readonly data: string;
  /** Seconds. */
  readonly ttl: number;
}

const headerLength = 12;

/** `undefined` for anything that isn't a query with one question. */
export function parseQuestion(message: Buffer): Question | undefined {
  if (message.length < headerLength) return undefined;
  const flags = message.readUInt16BE(2);
  const isQuery = (flags & 0xf800) === 0;
  if (!isQuery || message.readUInt16BE(4) !== 1) return undefined;
  const labels: string[] = [];
  let at = headerLength;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63) return undefined;
    at += 1;
    if (length === 0) break;
    if (at + length > message.length) return undefined;
    labels.push(message.toString('latin1', at, at + length));
    at += length;
  }
  if (at + 4 > message.length) return undefined;
  return {
    id: message.readUInt16BE(0),
    recursionDesired: (flags & 0x0100) !== 0,
    name: labels.join('.'),
    type: message.readUInt16BE(at),
    bytes: message.subarray(headerLength, at + 4),
  };
}

export function encodeReply(question: Question, code: number, records: readonly ResourceRecord[], truncated: boolean = false): Buffer {
  const header = Buffer.alloc(headerLength);
  header.writeUInt16BE(question.id, 0);
  // Response, recursion available, and desired as asked.
  header.writeUInt16BE(0x8080 | (question.recursionDesired ? 0x0100 : 0) | (truncated ? 0x0200 : 0) | code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(truncated ? 0 : records.length, 6);
  return Buffer.concat([header, question.bytes, ...(truncated ? [] : records.map(encodeRecord))]);
}

function encodeRecord(record: ResourceRecord): Buffer {
  const data = record.type === 'CNAME' ? encodeName(record.data) : encodeAddress(record.data);
  const middle = Buffer.alloc(10);
  middle.writeUInt16BE(recordTypes[record.type], 0);
  middle.writeUInt16BE(1, 2);
  middle.writeUInt32BE(record.ttl, 4);
  middle.writeUInt16BE(data.length, 8);
  return Buffer.concat([encodeName(record.name), middle, data]);
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  return Buffer.concat([...labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')])), Buffer.from([0])]);
}

function encodeAddress(address: string): Buffer {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number));
  // The dotted tail of ::ffff:1.2.3.4 becomes two groups.
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const pair = (high: string | undefined, low: string | undefined): string => ((Number(high) << 8) | Number(low)).toString(16);
  const text = dotted === null ? address : `${dotted[1]}${pair(dotted[2], dotted[3])}:${pair(dotted[4], dotted[5])}`;
  const [head = '', tail] = text.split('::');
  const groups = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const all = tail === undefined ? left : [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
  const bytes = Buffer.alloc(16);
  for (const [index, group] of all.entries()) bytes.writeUInt16BE(group, index * 2);
  return bytes;
}
