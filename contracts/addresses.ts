import { formatAddress, parseAddress, type AddressBytes, type Family } from './address-text.ts';
import { addressTable, type AddressClass } from './address-table.ts';
import { embeddedAddresses } from './embedded-addresses.ts';

/** A block of addresses; `bytes` has no bit set beyond `prefix`. */
export interface Cidr {
  readonly family: Family;
  readonly bytes: AddressBytes;
  readonly prefix: number;
  /** `10.0.0.0/8`; the one spelling. */
  readonly text: string;
}

function matches(bytes: AddressBytes, block: AddressBytes, prefix: number): boolean {
  if (bytes.length !== block.length) return false;
  const whole = prefix >> 3;
  for (let index = 0; index < whole; index++) if (bytes[index] !== block[index]) return false;
  const rest = prefix & 7;
  return rest === 0 || ((bytes[whole]! ^ block[whole]!) >> (8 - rest)) === 0;
}

const prefixText = /^(?:0|[1-9][0-9]{0,2})$/;

/** `10.0.0.0/8`, `fd00::/8`, or one address. Bits beyond the prefix are refused: they are a typing error more often than not. */
export function parseCidr(text: string): { readonly ok: true; readonly cidr: Cidr } | { readonly ok: false; readonly reason: string } {
  const slash = text.indexOf('/');
  const bytes = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (bytes === undefined) return { ok: false, reason: 'it is not an IP address or a block such as 10.0.0.0/8' };
  const bits = bytes.length * 8;
  const digits = slash < 0 ? String(bits) : text.slice(slash + 1);
  const prefix = Number(digits);
  if (!prefixText.test(digits) || prefix > bits) return { ok: false, reason: `the prefix is not a number from 0 to ${bits}` };
  const masked = bytes.map((byte, index) => byte & (0xff00 >> Math.max(0, Math.min(8, prefix - index * 8))));
  const canonical = `${formatAddress(masked)}/${prefix}`;
  if (masked.some((byte, index) => byte !== bytes[index])) return { ok: false, reason: `it has bits beyond its prefix; the block is ${canonical}` };
  return { ok: true, cidr: { family: bytes.length === 4 ? 4 : 6, bytes: masked, prefix, text: canonical } };
}

/** Whether the address is in the block. An IPv4 block holds no IPv6 spelling of its addresses: those are named on their own. */
export function inCidr(address: string, cidr: Cidr): boolean {
  const bytes = parseAddress(address);
  return bytes !== undefined && matches(bytes, cidr.bytes, cidr.prefix);
}

export interface ClassifiedAddress {
  readonly address_class: AddressClass;
  readonly family: Family;
  /** The one spelling of the address (contracts/address-text.ts). */
  readonly canonical: string;
}

/** When several parts of an address have a class, the one that is refused most surely is told. */
const severity: readonly AddressClass[] = [
  'metadata', 'loopback', 'unspecified', 'link_local', 'private', 'cgnat', 'unique_local', 'multicast', 'broadcast',
  'documentation', 'benchmarking', 'reserved', 'public',
];

interface Row {
  readonly block: AddressBytes;
  readonly prefix: number;
  readonly address_class: AddressClass;
}

/** Longest prefix first, so that the first match is the nearest. */
const rows: Readonly<Record<Family, readonly Row[]>> = (() => {
  const all = addressTable.map(([text, address_class]): Row => {
    const parsed = parseCidr(text);
    if (!parsed.ok) throw new TypeError(`address table: ${text}: ${parsed.reason}`);
    return { block: parsed.cidr.bytes, prefix: parsed.cidr.prefix, address_class };
  });
  const family = (length: number): Row[] => all.filter((row) => row.block.length === length).sort((a, b) => b.prefix - a.prefix);
  return { 4: family(4), 6: family(16) };
})();

function classOf(bytes: AddressBytes): AddressClass {
  const row = rows[bytes.length === 4 ? 4 : 6].find(({ block, prefix }) => matches(bytes, block, prefix));
  const own = row?.address_class ?? 'reserved';
  let worst = severity.indexOf(own);
  for (const embedded of embeddedAddresses(bytes)) worst = Math.min(worst, severity.indexOf(classOf(embedded)));
  return severity[worst]!;
}

/**
 * The class of an address by its bytes; undefined when the text is no address (the caller refuses it). An IPv4 address inside
 * an IPv6 one counts: of the classes of the whole and of its parts the one that is not public wins.
 */
export function classifyAddress(text: string): ClassifiedAddress | undefined {
  const bytes = parseAddress(text);
  if (bytes === undefined) return undefined;
  return { address_class: classOf(bytes), family: bytes.length === 4 ? 4 : 6, canonical: formatAddress(bytes) };
}
