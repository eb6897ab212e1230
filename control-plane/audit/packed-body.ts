import { promisify } from 'node:util';
import { brotliCompress, brotliDecompress, constants } from 'node:zlib';
import type { Event } from '../../contracts/event.ts';
import type { JsonObject } from '../../contracts/json.ts';
import { segmentMaxBytes } from '../../contracts/segment.ts';

/** A body is its segment with digests and salts, some 250 bytes a record. */
const bodyMaxBytes = 2 * segmentMaxBytes;
/** A sixth of the size for 6 us an exchange; the next quality takes twice as long for a hundredth less. */
const quality = 1;

const compress = promisify(brotliCompress);
const decompress = promisify(brotliDecompress);

/** The body of a segment's entry as it is stored: brotli of its UTF-8, off the main thread. */
export async function pack(body: string): Promise<Buffer> {
  const bytes = Buffer.from(body);
  return await compress(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } });
}

export interface StoredBody {
  readonly body: string | null;
  readonly packed: Buffer | null;
}

/** The body as it is exported. */
export async function unpack(stored: StoredBody): Promise<string> {
  return stored.body ?? (await bytesOf(stored)).toString();
}

async function bytesOf({ body, packed }: StoredBody): Promise<Buffer> {
  if (packed === null) return Buffer.from(body ?? '');
  return await decompress(packed, { maxOutputLength: bodyMaxBytes });
}

/** The events in these lines of a body; the payload of one that was shredded is empty. */
export async function readLines(stored: StoredBody, wanted: ReadonlySet<number>): Promise<ReadonlyMap<number, Event>> {
  const bytes = await bytesOf(stored);
  const found = new Map<number, Event>();
  for (let line = 0, from = 0; found.size < wanted.size; line++) {
    const to = bytes.indexOf(0x0a, from);
    if (to < 0) break;
    if (wanted.has(line)) found.set(line, readLine(bytes.toString('utf8', from, to)));
    from = to + 1;
  }
  return found;
}

function readLine(line: string): Event {
  const { event: { payload_digest: _digest, ...rest }, payload = {} } = JSON.parse(line) as { readonly event: Omit<Event, 'payload'> & { readonly payload_digest: string }; readonly payload?: JsonObject };
  return { ...rest, payload };
}
