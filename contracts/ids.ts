import { randomFillSync } from 'node:crypto';

/** Prefixes of all ids; an id is `<prefix>_<UUIDv7>` (RFC 9562, section 5.7), so ids of one kind sort by creation. */
export const idPrefixes = {
  run: 'run', session: 'ses', egress: 'egr', entry: 'ent', journal: 'jnl', draw: 'drw', proxy: 'prx', key: 'key',
} as const;

export type IdKind = keyof typeof idPrefixes;

const pool = Buffer.alloc(4096);
let used = pool.length;
let lastMilliseconds = -1;
let counter = 0;
/** The first 48 bits of `lastMilliseconds` as text: most ids of a busy process share their millisecond with others. */
let timeText = '';

function textOf(milliseconds: number): string {
  const time = milliseconds.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}`;
}

/** UUIDv7 text. `rand_a` is a counter within one millisecond (RFC 9562, section 6.2, method 1), so ids of one process never go back. */
export function uuidv7(nowMs: number): string {
  if (used + 10 > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  if (nowMs > lastMilliseconds) {
    lastMilliseconds = nowMs;
    counter = pool.readUInt16BE(used) & 0x7ff;
    timeText = textOf(lastMilliseconds);
  } else if (++counter > 0xfff) {
    // More than 2,048 ids in one millisecond: borrow from the next one rather than repeat.
    lastMilliseconds++;
    counter = 0;
    timeText = textOf(lastMilliseconds);
  }
  const random = pool.toString('hex', used + 2, used + 10);
  used += 10;
  const variant = ((Number.parseInt(random[0]!, 16) & 0x3) | 0x8).toString(16);
  return `${timeText}-7${counter.toString(16).padStart(3, '0')}-${variant}${random.slice(1, 4)}-${random.slice(4)}`;
}

export function newId(kind: IdKind, nowMs: number): string {
  return `${idPrefixes[kind]}_${uuidv7(nowMs)}`;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

export function isUuidv7(text: string): boolean {
  return uuid.test(text);
}

export function isId(kind: IdKind, text: string): boolean {
  const prefix = `${idPrefixes[kind]}_`;
  return text.startsWith(prefix) && uuid.test(text.slice(prefix.length));
}
