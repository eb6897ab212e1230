import type { ErrorCode } from '../../../contracts/errors.ts';
import type { HeaderList, Refusal, RequestHead, ResponseHead } from '../../exchange.ts';
import { fieldValues } from '../../wire/fields.ts';
import { endToEndFields } from '../../wire/serialise.ts';
import { acceptsJson, refusalBody, refusalFields } from '../refusal.ts';

/** Heads of answers as HTTP/2 has them. Pure. */

/** An answer of ours, whole. */
export interface RefusalAnswer {
  /** `[':status', '403', name, value, ...]` */
  readonly fields: string[];
  /** Undefined: the head is all there is. */
  readonly body: Buffer | undefined;
}

/** No content follows an answer of this status (RFC 9110, section 15). */
export const isBodilessStatus = (status: number): boolean => status === 204 || status === 205 || status === 304;

/** The origin's head, without what was meant for its connection only. */
export function answerFields(head: ResponseHead): string[] {
  const fields = endToEndFields(head.headers);
  // A length that the stream does not keep is an error of the stream (RFC 9113, section 8.1.1).
  const lengthless = head.status < 200 || head.status === 204 || head.status === 205;
  const left = [':status', String(head.status)];
  for (let index = 0; index < fields.length; index += 2) {
    if (!lengthless || fields[index] !== 'content-length') left.push(fields[index]!, fields[index + 1]!);
  }
  return left;
}

/** gRPC has a status of its own (grpc.github.io, statuscodes), and its clients show nothing of an HTTP answer. */
export function isGrpc(headers: HeaderList): boolean {
  const type = fieldValues(headers, 'content-type')[0]?.toLowerCase() ?? '';
  return /^application\/grpc(?:$|[+; ])/.test(type);
}

const grpcByCode: Readonly<Partial<Record<ErrorCode, number>>> = { budget_exhausted: 8, rate_limited: 8 };
/** By HTTP status: INVALID_ARGUMENT, UNAUTHENTICATED, PERMISSION_DENIED, RESOURCE_EXHAUSTED, INTERNAL, UNIMPLEMENTED, UNAVAILABLE. */
const grpcByStatus: Readonly<Record<number, number>> = { 400: 3, 401: 16, 403: 7, 404: 12, 407: 16, 408: 14, 429: 8, 500: 13, 501: 12, 502: 14, 503: 14, 504: 14 };
const grpcUnknown = 2;
const longestMessage = 2048;

/** RFC 3986's percent-encoding of all but printable ASCII without `%`, as gRPC over HTTP/2 has it. */
const percentEncoded = (text: string): string => text.replace(/[^\x20-\x24\x26-\x7e]+/gu, (piece) => [...Buffer.from(piece)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''));

function grpcMessage({ code, title, detail, reasons, next_steps, egress_id }: Refusal): string {
  const sentences = [`${title} (${code}): ${detail}`, ...reasons.map(({ rule, message }) => `${message} (${rule})`), ...next_steps, ...(egress_id === undefined ? [] : [egress_id])];
  return sentences.join(' ').slice(0, longestMessage);
}

/** A refusal in the client's own terms: a status of gRPC in a head without more, else a document. */
export function refusalAnswer(refusal: Refusal, { headers, method }: RequestHead): RefusalAnswer {
  const { code, status, retry_after } = refusal;
  if (isGrpc(headers)) {
    const fields = [
      ':status', '200', 'content-type', 'application/grpc', 'grpc-status', String(grpcByCode[code as ErrorCode] ?? grpcByStatus[status] ?? grpcUnknown),
      'grpc-message', percentEncoded(grpcMessage(refusal)),
    ];
    if (retry_after !== undefined) fields.push('retry-after', String(Math.ceil(retry_after)), 'grpc-retry-pushback-ms', String(Math.ceil(retry_after * 1000)));
    return { fields, body: undefined };
  }
  const json = acceptsJson(headers);
  const body = refusalBody(refusal, json);
  const named = refusalFields(refusal, body.length, json);
  return {
    fields: [':status', String(status), ...named.map((text, index) => (index % 2 === 0 ? text.toLowerCase() : text))],
    body: method === 'HEAD' ? undefined : body,
  };
}
