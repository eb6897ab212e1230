/**
 * IP addresses as bytes: 4 or 16 of them. Text comes in as RFC 4291 (section 2.2) has it and goes out as RFC 5952 (section 4);
 * an embedded IPv4 address is written in hexadecimal, as WHATWG URL does, so that one address has one spelling.
 */
export type AddressBytes = Uint8Array;
export type Family = 4 | 6;

const octet = /^(?:0|[1-9][0-9]{0,2})$/;

/** Four decimal numbers and nothing else; other numeric spellings are made canonical by `canonicalHost` first. */
export function parseIPv4(text: string): AddressBytes | undefined {
  if (text.length > 15) return undefined;
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(4);
  for (const [index, part] of parts.entries()) {
    const value = Number(part);
    if (!octet.test(part) || value > 255) return undefined;
    bytes[index] = value;
  }
  return bytes;
}

const group = /^[0-9A-Fa-f]{1,4}$/;

/** Words of one side of `::`; the last one may be an IPv4 address when `last` says so. */
function words(text: string, last: boolean): number[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  const result: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (group.test(part)) {
      result.push(Number.parseInt(part, 16));
      continue;
    }
    const embedded = last && index === parts.length - 1 ? parseIPv4(part) : undefined;
    if (embedded === undefined) return undefined;
    result.push((embedded[0]! << 8) | embedded[1]!, (embedded[2]! << 8) | embedded[3]!);
  }
  return result;
}

/** No brackets and no zone id: a zone names an interface of one machine, so it means nothing here. */
export function parseIPv6(text: string): AddressBytes | undefined {
  if (text.length > 45) return undefined;
  const gap = text.indexOf('::');
  let all: number[];
  if (gap < 0) {
    const found = words(text, true);
    if (found === undefined || found.length !== 8) return undefined;
    all = found;
  } else {
    const before = words(text.slice(0, gap), false);
    const after = words(text.slice(gap + 2), true);
    // `::` stands for at least one group (RFC 4291, section 2.2).
    if (before === undefined || after === undefined || before.length + after.length > 7) return undefined;
    all = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after];
  }
  const bytes = new Uint8Array(16);
  for (const [index, word] of all.entries()) {
    bytes[index * 2] = word >> 8;
    bytes[index * 2 + 1] = word & 0xff;
  }
  return bytes;
}

export function parseAddress(text: string): AddressBytes | undefined {
  return text.includes(':') ? parseIPv6(text) : parseIPv4(text);
}

/** RFC 5952, section 4.2: the longest run of two or more zero groups becomes `::`, the first of equals. */
export function formatAddress(bytes: AddressBytes): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) => (bytes[index * 2]! << 8) | bytes[index * 2 + 1]!);
  let start = -1;
  let length = 1;
  for (let from = 0; from < 8; from++) {
    let to = from;
    while (to < 8 && groups[to] === 0) to++;
    if (to - from > length) [start, length] = [from, to - from];
    if (to > from) from = to;
  }
  const hex = (part: readonly number[]): string => part.map((word) => word.toString(16)).join(':');
  return start < 0 ? hex(groups) : `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}
