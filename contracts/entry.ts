import { canonicalJson } from './canonical-json.ts';
import { sha256Hex } from './digest.ts';
import type { Event } from './event.ts';
import { leafHash, type Hash } from './merkle-tree.ts';

/** What the chain has one leaf of: the events of one control-plane transaction, or one journal segment. */
export type EntryHeader =
  | { readonly v: 1; readonly kind: 'transaction'; readonly entry_id: string }
  | { readonly v: 1; readonly kind: 'segment'; readonly entry_id: string; readonly journal_id: string; readonly sequence: number };

export interface Entry {
  readonly header: EntryHeader;
  /**
   * One line of canonical JSON for each event, with its newline: `{"event":...,"payload":...,"salt":"..."}`, where `event` has a
   * `payload_digest` in place of its payload and `salt` is 16 random bytes in hexadecimal; `{"event":...}` once payload and salt are
   * shredded. The texts that are hashed stand in it letter by letter, so leaf and verification need no parsing.
   */
  readonly body: string;
}

export const saltBytes = 16;
const saltText = /^[0-9a-f]{32}$/;

/** Hex SHA-256 of the salt (its 32 hexadecimal digits as text) followed by the canonical payload. */
export function payloadDigest(salt: string, canonicalPayload: string): string {
  return sha256Hex(salt + canonicalPayload);
}

const opening = '{"event":';
const digestKey = '"payload_digest":"';
const payloadKey = ',"payload":';
const saltKey = ',"salt":"';
const tailLength = saltKey.length + 2 * saltBytes + '"}'.length;

/** What is hashed of an event: canonical JSON of all but its payload. By hand, since its keys are few and known, in their order. */
function hashedText({ v, event_id, type, at, session_id, run_id, step_id, causes, actor, policy, facts }: Event, digest: string): string {
  const factsText = canonicalJson(facts);
  if (factsText.includes(digestKey)) throw new TypeError('facts may not have a key payload_digest');
  const whose = `${memberText('run_id', run_id)}${memberText('session_id', session_id)}${memberText('step_id', step_id)}`;
  const by = policy === undefined ? '' : `,"policy":{"revision":${canonicalJson(policy.revision)},"rules":${canonicalJson(policy.rules)}}`;
  return `{"actor":{"id":${canonicalJson(actor.id)},"kind":"${actor.kind}"},"at":${at},"causes":${canonicalJson(causes)},"event_id":${canonicalJson(event_id)}`
    + `,"facts":${factsText},${digestKey}${digest}"${by}${whose},"type":"${type}","v":${v}}`;
}

function memberText(name: string, value: string | undefined): string {
  return value === undefined ? '' : `,"${name}":${canonicalJson(value)}`;
}

export interface NewEntry extends Entry {
  readonly leaf: Hash;
}

/**
 * `salts` gives 16 random bytes in hexadecimal at each call. Throws a TypeError when an event has no canonical form, or when its facts
 * have the key that marks a place in the line.
 */
export function makeEntry(header: EntryHeader, events: readonly Event[], salts: () => string): NewEntry {
  const hashed: string[] = [];
  let body = '';
  for (const event of events) {
    const salt = salts();
    if (!saltText.test(salt)) throw new TypeError('a salt is 32 hexadecimal digits');
    const payload = canonicalJson(event.payload);
    const text = hashedText(event, payloadDigest(salt, payload));
    hashed.push(text);
    body += `${opening}${text}${payloadKey}${payload}${saltKey}${salt}"}\n`;
  }
  return { header, body, leaf: leafHash(leafText(header, hashed.join(','))) };
}

export interface BodyLine {
  /** Canonical text of the hashed event. */
  readonly event: string;
  readonly shredded: boolean;
}

/**
 * Takes a body line (without newline) apart by its fixed places; undefined when it is not laid out so, or when its payload is not
 * the one that the event has the digest of. Every letter of the line is compared here or is part of `event`.
 *
 * Quotes in strings are escaped, and keys are sorted: after `facts` no part of an event has keys of its own, so the first
 * `"payload_digest":"` and the first `,"payload":` after it are the event's.
 */
export function splitBodyLine(line: string): BodyLine | undefined {
  if (!line.startsWith(opening) || !line.endsWith('}')) return undefined;
  const tail = line.length - tailLength;
  if (!line.startsWith(saltKey, tail)) return { event: line.slice(opening.length, -1), shredded: true };
  const salt = line.slice(tail + saltKey.length, -2);
  const digest = line.indexOf(digestKey) + digestKey.length;
  const end = line.indexOf(payloadKey, digest);
  if (digest < digestKey.length || end < 0 || !line.endsWith('"}') || !saltText.test(salt)) return undefined;
  const expected = payloadDigest(salt, line.slice(end + payloadKey.length, tail));
  return line.startsWith(`${expected}"`, digest) ? { event: line.slice(opening.length, end), shredded: false } : undefined;
}

/** The text that the leaf is the hash of: RFC 8785 of the header's fields and `events`, the hashed form of each. */
export function leafText(header: EntryHeader, events: string): string {
  const journal = header.kind === 'segment' ? `"journal_id":${JSON.stringify(header.journal_id)},` : '';
  const sequence = header.kind === 'segment' ? `"sequence":${header.sequence},` : '';
  return `{"entry_id":${JSON.stringify(header.entry_id)},"events":[${events}],${journal}"kind":"${header.kind}",${sequence}"v":1}`;
}

function linesOf(body: string): readonly string[] {
  if (body === '') return [];
  if (!body.endsWith('\n')) throw new TypeError('the body of an entry is lines');
  return body.slice(0, -1).split('\n');
}

/** The leaf hash (RFC 9162) of an entry. Throws a TypeError when a line of the body is not as `makeEntry` wrote it. */
export function leafOf(entry: Entry): Hash {
  const events = linesOf(entry.body).map((line) => {
    const parts = splitBodyLine(line);
    if (parts === undefined) throw new TypeError(`entry ${entry.header.entry_id}: an event does not have the payload that it names`);
    return parts.event;
  });
  return leafHash(leafText(entry.header, events.join(',')));
}
