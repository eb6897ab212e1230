/**
 * As much of DER (ITU-T X.690, section 10) as a certificate needs. A library's schema takes 0.6 ms a certificate, this 10 us, and
 * leaves are minted while a client waits (docs/decisions/0013-the-certificate-authority.md).
 */

const tags = { integer: 0x02, bitString: 0x03, octetString: 0x04, oid: 0x06, utf8String: 0x0c, utcTime: 0x17, generalizedTime: 0x18, sequence: 0x30, set: 0x31 } as const;

/** One value: its tag, its length in as few bytes as there are, what it holds. */
export function value(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const content of contents) length += content.length;
  const head = length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  if (length > 0xffff) throw new RangeError('a value of more than 65,535 bytes has no place in a certificate');
  const bytes = Buffer.allocUnsafe(head.length + length);
  bytes.set(head);
  let at = head.length;
  for (const content of contents) {
    bytes.set(content, at);
    at += content.length;
  }
  return bytes;
}

export const sequence = (...contents: readonly Uint8Array[]): Buffer => value(tags.sequence, ...contents);
export const set = (...contents: readonly Uint8Array[]): Buffer => value(tags.set, ...contents);
export const octetString = (content: Uint8Array): Buffer => value(tags.octetString, content);
export const utf8String = (text: string): Buffer => value(tags.utf8String, Buffer.from(text, 'utf8'));
/** In a context's own tag, as a constructed value. */
export const tagged = (number: number, ...contents: readonly Uint8Array[]): Buffer => value(0xa0 | number, ...contents);
/** In a context's own tag, instead of the tag that it would have. */
export const implicit = (number: number, content: Uint8Array): Buffer => value(0x80 | number, content);
export const yes: Buffer = Buffer.from([0x01, 0x01, 0xff]);

/** A number that is not negative, big-endian. */
export function integer(magnitude: Uint8Array): Buffer {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
  const shortest = magnitude.subarray(start);
  return shortest.length === 0 || shortest[0]! >= 0x80 ? value(tags.integer, Buffer.from([0]), shortest) : value(tags.integer, shortest);
}

/** `unused`: how many bits at the end mean nothing. */
export const bitString = (content: Uint8Array, unused: number = 0): Buffer => value(tags.bitString, Buffer.from([unused]), content);

/** From the dotted spelling. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return value(tags.oid, Buffer.from([first * 40 + second, ...rest].flatMap((arc) => base128(arc))));
}

function base128(arc: number): number[] {
  const digits = [arc & 0x7f];
  for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) digits.unshift(0x80 | (left & 0x7f));
  return digits;
}

/** Seconds, in UTC: UTCTime until 2049, GeneralizedTime from 2050 (RFC 5280, section 4.1.2.5). */
export function time(milliseconds: number): Buffer {
  const digits = new Date(milliseconds).toISOString().replace(/\.\d+Z$|[-:T]/g, '');
  const short = digits >= '1950' && digits < '2050';
  return value(short ? tags.utcTime : tags.generalizedTime, Buffer.from(`${short ? digits.slice(2) : digits}Z`, 'latin1'));
}
