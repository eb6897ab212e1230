import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { connect, type Socket } from 'node:net';
import { errorCatalogue, SallyportError, type ErrorCode, type Problem } from '../contracts/errors.ts';
import type { Remote } from './config.ts';

// `import` of node:http reads all its properties, and one of them loads undici: 30 ms that `sallyport run` would wait for.
const { request: httpRequest } = process.getBuiltinModule('node:http');

/** Largest JSON answer that is read. */
const largestAnswer = 64 * 1024 * 1024;
/** Longest line of an event stream. */
const longestLine = 4 * 1024 * 1024;
const usualTimeoutMs = 30_000;

export interface CallOptions {
  readonly body?: unknown;
  /** Milliseconds without a sign of life after which the call is given up. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** The same key with the same body is the same write, however often it is sent. */
  readonly idempotencyKey?: string;
}

export interface StreamEvent {
  readonly event: string;
  readonly data: unknown;
}

/** The one outbound client of the command line. Problems come back as the `SallyportError` that the control plane threw. */
export interface ApiClient {
  /** Where it calls, for a person. */
  readonly target: string;
  call<T>(method: string, path: string, options?: CallOptions): Promise<T>;
  /** A streamed answer, unread. */
  open(method: string, path: string, options?: CallOptions): Promise<IncomingMessage>;
  /** Server-sent events until the stream ends. */
  events(path: string, signal?: AbortSignal): AsyncGenerator<StreamEvent>;
}

/** A stream to a Unix socket of the data folder; half-open, so that each direction ends by itself. */
export function connectLocal(path: string): Socket {
  return connect({ path, allowHalfOpen: true });
}

/** By the data folder's socket: who can open it is the operator. */
export function localApi(socketPath: string): ApiClient {
  return client(socketPath, (method, path, headers) => httpRequest({ socketPath, method, path, headers, agent: false }));
}

/** By the same socket, as a process of the installation. */
export function dataPlaneApi(socketPath: string, token: string): ApiClient {
  return client(socketPath, (method, path, headers) => httpRequest({ socketPath, method, path, headers: { ...headers, authorization: `Bearer ${token}` }, agent: false }));
}

export function remoteApi({ url, key }: Remote): ApiClient {
  const base = url.pathname.replace(/\/$/, '');
  return client(url.origin, (method, path, headers) => {
    const options: RequestOptions = { method, headers: { ...headers, authorization: `Bearer ${key}` }, agent: false };
    const target = new URL(base + path, url);
    return url.protocol === 'https:' ? process.getBuiltinModule('node:https').request(target, options) : httpRequest(target, options);
  });
}

type Start = (method: string, path: string, headers: Record<string, string | number>) => ClientRequest;

function client(target: string, start: Start): ApiClient {
  const open = (method: string, path: string, options: CallOptions = {}): Promise<IncomingMessage> => new Promise((resolve, reject) => {
    const body = options.body === undefined ? undefined : Buffer.from(JSON.stringify(options.body));
    const outgoing = start(method, path, {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.length }),
      ...(options.idempotencyKey !== undefined && { 'idempotency-key': options.idempotencyKey }),
    });
    const abort = (): void => { outgoing.destroy(new Error('cancelled')); };
    options.signal?.addEventListener('abort', abort, { once: true });
    outgoing.once('close', () => options.signal?.removeEventListener('abort', abort));
    if (options.signal?.aborted === true) abort();
    if (options.timeoutMs !== 0) {
      outgoing.setTimeout(options.timeoutMs ?? usualTimeoutMs, () => outgoing.destroy(new Error('no answer in time')));
    }
    outgoing.once('error', (error: NodeJS.ErrnoException) => reject(unreachable(target, error)));
    outgoing.once('response', (response) => {
      if ((response.statusCode ?? 500) < 400) resolve(response);
      else problemOf(response).then(reject, (error: unknown) => reject(unreachable(target, error as Error)));
    });
    outgoing.end(body);
  });

  return {
    target,
    open,
    async call<T>(method: string, path: string, options?: CallOptions): Promise<T> {
      const text = await readAll(await open(method, path, options)).catch((error: unknown) => { throw unreachable(target, error as Error); });
      if (text === '') return undefined as T;
      try {
        return JSON.parse(text) as T;
      } catch (cause) {
        throw new SallyportError('internal', `The control plane at ${target} answered ${method} ${path} with something that is not JSON.`, { cause });
      }
    },
    async *events(path, signal) {
      const response = await open('GET', path, { timeoutMs: 0, ...(signal === undefined ? {} : { signal }) });
      try {
        yield* readEvents(response);
      } catch (error) {
        throw unreachable(target, error as Error);
      } finally {
        response.destroy();
      }
    },
  };
}

function unreachable(target: string, cause: NodeJS.ErrnoException): SallyportError {
  if (cause instanceof SallyportError) return cause;
  const absent = cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED';
  const why = absent ? 'nothing listens there' : cause.code === 'EACCES' ? 'it belongs to somebody else' : cause.message;
  return new SallyportError('control_plane_unreachable', `The control plane at ${target} cannot be reached: ${why}.`, { cause });
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > largestAnswer) {
      response.destroy();
      throw new SallyportError('internal', `The control plane answered with more than ${largestAnswer} bytes.`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

async function problemOf(response: IncomingMessage): Promise<SallyportError> {
  const text = await readAll(response);
  let problem: Partial<Problem> = {};
  try {
    problem = JSON.parse(text) as Partial<Problem>;
  } catch {
    // Something else than a control plane answers there; its status is all that can be told.
  }
  return fromProblem(problem, `The control plane answered with status ${response.statusCode ?? 'unknown'}.`);
}

/** An error that another process has described. */
export function fromProblem(problem: Partial<Problem>, otherwise: string): SallyportError {
  const code = typeof problem.code === 'string' && Object.hasOwn(errorCatalogue, problem.code) ? problem.code as ErrorCode : 'internal';
  const { errors, legal, retry_after, next_steps } = problem;
  return new SallyportError(code, typeof problem.detail === 'string' ? problem.detail : otherwise, {
    ...(errors !== undefined && { errors }),
    ...(legal !== undefined && { legal }),
    ...(retry_after !== undefined && { retry_after }),
    ...(next_steps !== undefined && { next_steps }),
  });
}

/** WHATWG event streams as the control plane writes them: `event:` and `data:` lines, comments as heartbeats. */
export async function* readEvents(chunks: AsyncIterable<Buffer>): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  let event = 'message';
  let data: string[] = [];
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n/);
    rest = lines.pop() ?? '';
    if (rest.length > longestLine) throw new SallyportError('internal', `The event stream holds a line of more than ${longestLine} characters.`);
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield { event, data: JSON.parse(data.join('\n')) };
        event = 'message';
        data = [];
      } else if (line.startsWith('event:')) event = line.slice(6).trim();
      else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
    }
  }
}
