import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { z } from 'zod';
import { SallyportError, type FieldError } from '../../contracts/errors.ts';
import { invalid, mistakesMax, validated } from './validation.ts';

/** Of JSON bodies, in bytes. A policy with hundreds of rules fits. */
export const jsonBodyLimit = 256 * 1024;

interface WithRequest {
  readonly req: IncomingMessage;
}

/** The whole body; `gzip` is undone where `Content-Encoding` says so. `limit` holds before and after. */
export async function readBody({ req }: WithRequest, limit: number): Promise<Buffer> {
  const declared = Number(req.headers['content-length'] ?? 0);
  if (declared > limit) throw tooLarge(limit);
  const raw = await collect(req, limit);
  const encoding = req.headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity') return raw;
  if (encoding !== 'gzip') throw new SallyportError('not_supported', `Content-Encoding ${encoding} is not supported; send gzip or none.`);
  try {
    return await promisify(gunzip)(raw, { maxOutputLength: limit });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limit);
    throw new SallyportError('bad_request', 'The body is not valid gzip.', { cause: error });
  }
}

async function collect(req: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of req as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > limit) throw tooLarge(limit);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof SallyportError) throw error;
    throw new SallyportError('bad_request', 'The request broke off.', { cause: error });
  }
  return Buffer.concat(chunks, length);
}

function tooLarge(limit: number): SallyportError {
  return new SallyportError('body_too_large', `The body may hold ${limit} bytes.`);
}

/** A JSON body in its schema's shape. No body is the empty object, so that `POST .../cancel` needs none. */
export async function readJson<T extends z.ZodType>(ctx: WithRequest, schema: T): Promise<z.output<T>> {
  const text = (await readBody(ctx, jsonBodyLimit)).toString('utf8');
  let value: unknown;
  try {
    value = text === '' ? {} : JSON.parse(text);
  } catch (error) {
    throw new SallyportError('malformed_json', 'The body is not JSON.', { cause: error });
  }
  const unstorable = unstorableStrings(value, '', 0).take(mistakesMax).toArray();
  if (unstorable.length > 0) throw invalid(unstorable);
  return validated(schema, value);
}

/** Nothing that we take nests deeper than six. */
const maxDepth = 32;

/** Postgres stores no U+0000, and half a surrogate pair has no canonical form (RFC 8785, section 3.2.2.2). */
function* unstorableStrings(value: unknown, path: string, depth: number): Generator<FieldError> {
  if (depth > maxDepth) {
    yield { path, message: `nests deeper than ${maxDepth}` };
  } else if (typeof value === 'string') {
    if (value.includes('\0') || !value.isWellFormed()) yield { path, message: 'holds a character that cannot be stored' };
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* unstorableStrings(item, `${path}[${index}]`, depth + 1);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      yield* unstorableStrings(key, path, depth + 1);
      yield* unstorableStrings(item, path === '' ? key : `${path}.${key}`, depth + 1);
    }
  }
}
