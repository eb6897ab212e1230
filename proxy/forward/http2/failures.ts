import { constants } from 'node:http2';
import { SallyportError } from '../../../contracts/errors.ts';
import { upstreamFailure } from '../failures.ts';

/** RFC 9113, section 7. */
export const streamCodes = {
  none: constants.NGHTTP2_NO_ERROR, cancel: constants.NGHTTP2_CANCEL, refused: constants.NGHTTP2_REFUSED_STREAM, http1: constants.NGHTTP2_HTTP_1_1_REQUIRED,
} as const;

const names: ReadonlyMap<number, string> = new Map([
  'NO_ERROR', 'PROTOCOL_ERROR', 'INTERNAL_ERROR', 'FLOW_CONTROL_ERROR', 'SETTINGS_TIMEOUT', 'STREAM_CLOSED', 'FRAME_SIZE_ERROR', 'REFUSED_STREAM', 'CANCEL',
  'COMPRESSION_ERROR', 'CONNECT_ERROR', 'ENHANCE_YOUR_CALM', 'INADEQUATE_SECURITY', 'HTTP_1_1_REQUIRED',
].entries());

/** Codes that say the other side, or what it sent, was not HTTP/2 as it should be: nghttp2 uses them for what it finds in an answer. */
const ofProtocol = new Set([1, 3, 5, 6, 9, 12, 13]);
/** ENHANCE_YOUR_CALM: of the other side, or Node's for a head that is too large. */
const calm = 11;

interface Lost {
  /** The connection's, if that is known. */
  readonly error: NodeJS.ErrnoException | undefined;
  /** The connection is gone, not just the stream. */
  readonly died: boolean;
  /** What the stream was reset with; nghttp2 does not say by whom. */
  readonly code: number;
  /** Something of an answer had come. */
  readonly heard: boolean;
}

/** What a stream is called that ended before its answer was complete. `where` is host and port. */
export function lostFailure({ error, died, code, heard }: Lost, where: string): SallyportError {
  if (error instanceof SallyportError) return error;
  const http2 = error?.code?.startsWith('ERR_HTTP2_') === true;
  if (http2 && error.code !== 'ERR_HTTP2_SESSION_ERROR' && error.code !== 'ERR_HTTP2_STREAM_CANCEL') {
    return new SallyportError('upstream_protocol', `What ${where} sends can't be read as HTTP/2: ${error.message}.`, { cause: error });
  }
  if (died) return upstreamFailure(error, where, heard);
  const name = names.get(code) ?? `code ${code}`;
  if (code === calm) return new SallyportError('upstream_protocol', `The head of the answer is too large, or ${where} wants fewer requests (${name}).`);
  if (ofProtocol.has(code)) return new SallyportError('upstream_protocol', `The exchange with ${where} broke the rules of HTTP/2 (${name}).`);
  return new SallyportError('upstream_reset', `${where} reset the request before its answer was complete (${name}).`);
}
