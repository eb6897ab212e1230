import { createRequire } from 'node:module';

/**
 * The one place where llhttp enters: the WebAssembly build inside undici (pinned in package.json; it is the parser of Node's own
 * `node:http`, strict unless told otherwise). Heads are parsed whole, chunked bodies as they come. What llhttp leaves open
 * (versions, double spaces, empty lines, duplicate fields) is judged by `head-rules.ts` on top of it.
 */

interface LlhttpExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly _initialize: () => void;
  readonly malloc: (bytes: number) => number;
  readonly llhttp_alloc: (type: number) => number;
  readonly llhttp_free: (parser: number) => void;
  readonly llhttp_reset: (parser: number) => void;
  readonly llhttp_execute: (parser: number, at: number, bytes: number) => number;
  readonly llhttp_get_method: (parser: number) => number;
  readonly llhttp_get_http_major: (parser: number) => number;
  readonly llhttp_get_http_minor: (parser: number) => number;
  readonly llhttp_get_error_pos: (parser: number) => number;
  readonly llhttp_get_error_reason: (parser: number) => number;
}

/** What is used of the global of that name; Node's types leave it out. */
interface WasmLoader {
  readonly Module: new (bytes: Buffer) => object;
  readonly Instance: new (module: object, imports: { readonly env: object }) => { readonly exports: unknown };
}
const wasm = (globalThis as unknown as { readonly WebAssembly: WasmLoader }).WebAssembly;

const request = 1;
const response = 2;
/** What a callback returns so that `llhttp_execute` stops after the message (HPE_PAUSED). */
const paused = 21;
/** Bytes handed to llhttp in one call; heads are no larger (`maximumHeadBytes`). */
const windowBytes = 65_536;
/** Fields remembered of one head; `head-rules.ts` allows fewer, so that its refusal names the number. */
const rememberedFields = 128;
/** Parsers kept for chunked bodies to come; each is about 100 bytes of WebAssembly memory. */
const pooledParsers = 256;

/** Spans of the head in hand: name start, name end, value start, value end. */
const spans = new Int32Array(rememberedFields * 4);
let fields = 0;
let targetStart = 0;
let targetEnd = 0;
let headDone = false;
let messageDone = false;
let statusCode = 0;
/** The chunked body in hand; while undefined the callbacks belong to a head. */
let decoding: ChunkedDecoder | undefined;

const callbacks = {
  wasm_on_message_begin: () => 0,
  wasm_on_url: (_parser: number, at: number, length: number) => {
    targetStart = at - base;
    targetEnd = targetStart + length;
    return 0;
  },
  wasm_on_status: () => 0,
  wasm_on_header_field: (_parser: number, at: number, length: number) => {
    if (decoding !== undefined) return decoding.fieldPiece(at - base, length);
    if (fields === rememberedFields) return -1;
    spans[fields * 4] = at - base;
    spans[fields * 4 + 1] = at - base + length;
    return 0;
  },
  wasm_on_header_value: (_parser: number, at: number, length: number) => {
    if (decoding !== undefined) return decoding.valuePiece(at - base, length);
    spans[fields * 4 + 2] = at - base;
    spans[fields * 4 + 3] = at - base + length;
    fields++;
    return 0;
  },
  wasm_on_headers_complete: (_parser: number, status: number) => {
    headDone = true;
    statusCode = status;
    return 0;
  },
  wasm_on_body: (_parser: number, at: number, length: number) => {
    decoding?.bodyPiece(at - base, length);
    return 0;
  },
  wasm_on_message_complete: () => {
    messageDone = true;
    return paused;
  },
};

function load(): LlhttpExports {
  const require = createRequire(import.meta.url);
  const instantiate = (file: string): LlhttpExports => {
    return new wasm.Instance(new wasm.Module(require(file) as Buffer), { env: callbacks }).exports as LlhttpExports;
  };
  try {
    return instantiate('undici/lib/llhttp/llhttp_simd-wasm.js');
  } catch {
    // No SIMD on this processor.
    return instantiate('undici/lib/llhttp/llhttp-wasm.js');
  }
}

const llhttp = load();
llhttp._initialize();
const base = llhttp.malloc(windowBytes);
let view = new Uint8Array(llhttp.memory.buffer, base, windowBytes);

function execute(parser: number, bytes: Uint8Array): number {
  // Memory that grew has a new buffer, and the view of the old one is empty.
  if (view.length === 0) view = new Uint8Array(llhttp.memory.buffer, base, windowBytes);
  view.set(bytes);
  return llhttp.llhttp_execute(parser, base, bytes.length);
}

function errorReason(parser: number): string {
  const start = llhttp.llhttp_get_error_reason(parser);
  if (start === 0) return 'not HTTP';
  const memory = Buffer.from(llhttp.memory.buffer);
  return memory.toString('latin1', start, memory.indexOf(0, start));
}

const methods: Readonly<Record<number, string>> = {
  0: 'DELETE', 1: 'GET', 2: 'HEAD', 3: 'POST', 4: 'PUT', 5: 'CONNECT', 6: 'OPTIONS', 7: 'TRACE', 8: 'COPY', 9: 'LOCK', 10: 'MKCOL',
  11: 'MOVE', 12: 'PROPFIND', 13: 'PROPPATCH', 14: 'SEARCH', 15: 'UNLOCK', 16: 'BIND', 17: 'REBIND', 18: 'UNBIND', 19: 'ACL',
  20: 'REPORT', 21: 'MKACTIVITY', 22: 'CHECKOUT', 23: 'MERGE', 24: 'M-SEARCH', 25: 'NOTIFY', 26: 'SUBSCRIBE', 27: 'UNSUBSCRIBE',
  28: 'PATCH', 29: 'PURGE', 30: 'MKCALENDAR', 31: 'LINK', 32: 'UNLINK', 46: 'QUERY',
};

const methodNames: ReadonlySet<string> = new Set(Object.values(methods));

/** Whether it is a method of HTTP as `ParsedRequest.method` names them. */
export const isMethod = (name: string): boolean => methodNames.has(name);

/** A head as llhttp reads it. `text` is the whole head in latin1, of which all else is part. */
export interface ParsedHead {
  readonly text: string;
  readonly major: number;
  readonly minor: number;
  /** `[name, value, ...]`, values without white space around them. */
  readonly headers: readonly string[];
}
export interface ParsedRequest extends ParsedHead {
  /** Undefined for methods that llhttp knows of protocols other than HTTP. */
  readonly method: string | undefined;
  readonly target: string;
}
export interface ParsedResponse extends ParsedHead {
  readonly status: number;
}

const requestParser = llhttp.llhttp_alloc(request);
const responseParser = llhttp.llhttp_alloc(response);

/** Trailing white space only: llhttp has skipped what leads. */
function trimmedEnd(text: string, start: number, end: number): string {
  let last = end;
  while (last > start && (text.charCodeAt(last - 1) === 32 || text.charCodeAt(last - 1) === 9)) last--;
  return text.slice(start, last);
}

/** Parses one whole head, up to and with its empty line; `text` is `bytes` in latin1. The fields, or what is wrong with it. */
function parseFields(parser: number, bytes: Buffer, text: string): string[] | string {
  if (bytes.length > windowBytes) return `the head is larger than ${windowBytes} bytes`;
  fields = 0;
  headDone = false;
  decoding = undefined;
  llhttp.llhttp_reset(parser);
  const code = execute(parser, bytes);
  if (!headDone) return code === 0 ? 'the head is not complete' : errorReason(parser);
  const headers: string[] = [];
  for (let index = 0; index < fields * 4; index += 4) {
    headers.push(text.slice(spans[index], spans[index + 1]), trimmedEnd(text, spans[index + 2]!, spans[index + 3]!));
  }
  return headers;
}

export function parseRequestHead(bytes: Buffer, text: string = bytes.toString('latin1')): ParsedRequest | string {
  const parser = requestParser;
  const headers = parseFields(parser, bytes, text);
  if (typeof headers === 'string') return headers;
  return {
    text, major: llhttp.llhttp_get_http_major(parser), minor: llhttp.llhttp_get_http_minor(parser), headers,
    method: methods[llhttp.llhttp_get_method(parser)], target: text.slice(targetStart, targetEnd),
  };
}

export function parseResponseHead(bytes: Buffer, text: string = bytes.toString('latin1')): ParsedResponse | string {
  const headers = parseFields(responseParser, bytes, text);
  if (typeof headers === 'string') return headers;
  return { text, major: llhttp.llhttp_get_http_major(responseParser), minor: llhttp.llhttp_get_http_minor(responseParser), headers, status: statusCode };
}

const parserPool: number[] = [];
const chunkedHead = Buffer.from('POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n');

/** Bytes of framing without a byte of content between: chunk extensions and trailers have no other bound (CVE-2024-22019). */
const maximumOverhead = 16_384;

/** Reads one chunked body (RFC 9112, section 7.1), split anywhere. Give its parser back with `release` on every way out. */
export class ChunkedDecoder {
  #parser: number;
  #input: Buffer = chunkedHead;
  #pieces: Buffer[] = [];
  #overhead = 0;
  #inValue = false;
  #tooManyFields = false;
  state: 'more' | 'done' | 'bad' = 'more';
  problem = '';
  /** Bytes of the last input that belong to the body. */
  consumed = 0;
  readonly trailers: string[] = [];

  constructor() {
    this.#parser = parserPool.pop() ?? llhttp.llhttp_alloc(request);
    llhttp.llhttp_reset(this.#parser);
    // A parser is brought to where a chunked body starts by a head that says so.
    fields = 0;
    decoding = undefined;
    execute(this.#parser, chunkedHead);
  }

  /** The content in `bytes`, as parts of it. */
  read(bytes: Buffer): readonly Buffer[] {
    this.#pieces = [];
    this.consumed = 0;
    for (let at = 0; at < bytes.length && this.state === 'more'; at += windowBytes) {
      this.#input = bytes.subarray(at, at + windowBytes);
      this.#step();
    }
    return this.#pieces;
  }

  #step(): void {
    messageDone = false;
    // oxlint-disable-next-line typescript/no-this-alias -- the callbacks of WebAssembly are functions of the module, not of an object
    decoding = this;
    const before = this.#pieces.length;
    const code = execute(this.#parser, this.#input);
    decoding = undefined;
    if (messageDone && code === paused) {
      this.consumed += llhttp.llhttp_get_error_pos(this.#parser) - base;
      this.state = 'done';
      for (let index = 1; index < this.trailers.length; index += 2) this.trailers[index] = trimmedEnd(this.trailers[index]!, 0, this.trailers[index]!.length);
      return;
    }
    if (code !== 0) return this.#fail(this.#tooManyFields ? 'too many trailer fields' : errorReason(this.#parser));
    this.consumed += this.#input.length;
    if (this.#pieces.length === before) this.#overhead += this.#input.length;
    else this.#overhead = 0;
    if (this.#overhead > maximumOverhead) this.#fail(`more than ${maximumOverhead} bytes of chunk extensions or trailers`);
  }

  #fail(problem: string): void {
    this.state = 'bad';
    this.problem = problem;
  }

  /** The stream ended: a body that is not done is cut short. */
  finish(): void {
    if (this.state === 'more') this.#fail('the chunked body ends before its last chunk');
  }

  release(): void {
    if (this.#parser === 0) return;
    if (parserPool.length < pooledParsers) parserPool.push(this.#parser);
    else llhttp.llhttp_free(this.#parser);
    this.#parser = 0;
    if (this.state === 'more') this.#fail('released');
  }

  bodyPiece(at: number, length: number): void {
    this.#pieces.push(this.#input.subarray(at, at + length));
  }

  fieldPiece(at: number, length: number): number {
    const piece = this.#input.toString('latin1', at, at + length);
    if (this.#inValue || this.trailers.length === 0) {
      if (this.trailers.length >= rememberedFields * 2) {
        this.#tooManyFields = true;
        return -1;
      }
      this.trailers.push(piece, '');
    } else {
      this.trailers[this.trailers.length - 2] += piece;
    }
    this.#inValue = false;
    return 0;
  }

  valuePiece(at: number, length: number): number {
    this.trailers[this.trailers.length - 1] += this.#input.toString('latin1', at, at + length);
    this.#inValue = true;
    return 0;
  }
}
