import type { AddressBytes } from './address-text.ts';

const pick = (bytes: AddressBytes, ...at: readonly number[]): AddressBytes => Uint8Array.from(at, (index) => bytes[index]!);
const startsWith = (bytes: AddressBytes, ...prefix: readonly number[]): boolean => prefix.every((byte, index) => bytes[index] === byte);
const zero = (bytes: AddressBytes, from: number, to: number): boolean => bytes.subarray(from, to).every((byte) => byte === 0);

/**
 * The IPv4 addresses that a host, router or translator may read out of an IPv6 address. More readings than one are all given:
 * we can't know which one the network has.
 */
export function embeddedAddresses(bytes: AddressBytes): readonly AddressBytes[] {
  if (bytes.length !== 16) return [];
  const last = pick(bytes, 12, 13, 14, 15);
  if (zero(bytes, 0, 10)) {
    // IPv4-mapped (RFC 4291, 2.5.5.2), and IPv4-compatible (2.5.5.1, deprecated); `::` and `::1` are no IPv4 addresses.
    if (bytes[10] === 0xff && bytes[11] === 0xff) return [last];
    return bytes[10] === 0 && bytes[11] === 0 && !(zero(bytes, 12, 15) && bytes[15]! <= 1) ? [last] : [];
  }
  // IPv4-translated ::ffff:0:a.b.c.d (RFC 2765, 2.1).
  if (zero(bytes, 0, 8) && bytes[8] === 0xff && bytes[9] === 0xff && zero(bytes, 10, 12)) return [last];
  if (startsWith(bytes, 0x00, 0x64, 0xff, 0x9b)) {
    // NAT64: the well-known prefix is a /96 (RFC 6052, 2.1); below the local-use 64:ff9b:1::/48 (RFC 8215) operators choose
    // one of the layouts of RFC 6052, 2.2 (byte 8 is skipped). All zeros up to the last four bytes can only be the /96.
    if (zero(bytes, 6, 12) && bytes[4] === 0 && bytes[5]! <= 1) return [last];
    if (bytes[4] === 0 && bytes[5] === 1) {
      return [pick(bytes, 6, 7, 9, 10), pick(bytes, 7, 9, 10, 11), pick(bytes, 9, 10, 11, 12), last];
    }
    return [];
  }
  // ISATAP: interface identifier 0:5efe or 200:5efe below any prefix (RFC 5214, 6.1).
  const isatap = (bytes[8]! & 0xfd) === 0 && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe ? [last] : [];
  // 6to4 (RFC 3056, 2).
  if (startsWith(bytes, 0x20, 0x02)) return [pick(bytes, 2, 3, 4, 5), ...isatap];
  // Teredo: the server, and the client with its bits inverted (RFC 4380, 4).
  if (startsWith(bytes, 0x20, 0x01, 0, 0)) return [pick(bytes, 4, 5, 6, 7), last.map((byte) => byte ^ 0xff)];
  return isatap;
}
