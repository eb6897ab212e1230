import { Agent, request as requestHttp, type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { Agent as TlsAgent, request as requestHttps } from 'node:https';
import { errorCatalogue, SallyportError, type ErrorCode, type Problem } from '../../contracts/errors.ts';

/** A Unix socket of this machine, or a URL without a path; `ca` (PEM) is trusted instead of the system's. */
export type ControlPlaneAddress = { readonly socketPath: string } | { readonly url: URL; readonly ca?: string };

export interface ControlPlaneOptions {
  readonly address: ControlPlaneAddress;
  readonly token: string;
  /** Where a stream came from over TCP. */
  readonly onPeer?: (endpoint: { readonly host: string; readonly port: number }) => void;
}

/** Connections kept to the control plane beside the stream. */
const connections = 8;
const answerMaxBytes = 64 * 1024 * 1024;
const answerTimeoutMs = 15_000;

/** Calls of the data-plane API (api.md). The certificate of an `https` one is verified always. */
export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #agent: Agent;
  readonly #target: RequestOptions & { readonly ca?: string };
  readonly #request: typeof requestHttp;

  constructor(options: ControlPlaneOptions) {
    this.#options = options;
    const { address } = options;
    const tls = 'url' in address && address.url.protocol === 'https:';
    this.#request = tls ? requestHttps : requestHttp;
    this.#agent = new (tls ? TlsAgent : Agent)({ keepAlive: true, maxSockets: connections });
    this.#target = 'socketPath' in address ? { socketPath: address.socketPath }
      : { host: address.url.hostname.replace(/^\[(.*)\]$/, '$1'), port: address.url.port === '' ? tls ? 443 : 80 : Number(address.url.port), ...(address.ca !== undefined && { ca: address.ca }) };
  }

  /** The body of a 200, parsed. Throws the control plane's own problem, or `control_plane_unreachable`. */
  async post<T>(path: string, body: unknown): Promise<T> {
    return JSON.parse((await this.#call('POST', path, 'application/json', Buffer.from(JSON.stringify(body)))).toString()) as T;
  }

  async postSegment<T>(bytes: Buffer): Promise<T> {
    return JSON.parse((await this.#call('POST', '/data-plane/events', 'application/x-ndjson', bytes)).toString()) as T;
  }

  get(path: string): Promise<Buffer> {
    return this.#call('GET', path, undefined, undefined);
  }

  /** An answer that goes on; `signal` ends it. */
  open(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const outgoing: ClientRequest = this.#request({ ...this.#target, path, headers: this.#headers(undefined), signal }, (response) => {
        const { remoteAddress: host, remotePort: port } = response.socket;
        if (host !== undefined && port !== undefined) this.#options.onPeer?.({ host, port });
        if (response.statusCode === 200) resolve(response);
        else collect(response).then((body) => reject(problemOf(response.statusCode ?? 0, body)), reject);
      });
      outgoing.on('error', (error) => reject(unreachable(error)));
      outgoing.end();
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  #call(method: string, path: string, contentType: string | undefined, body: Buffer | undefined): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const outgoing: ClientRequest = this.#request({
        ...this.#target, agent: this.#agent, method, path, timeout: answerTimeoutMs,
        headers: { ...this.#headers(contentType), ...(body !== undefined && { 'content-length': body.length }) },
      }, (response) => {
        collect(response).then((answer) => {
          if (response.statusCode === 200) resolve(answer);
          else reject(problemOf(response.statusCode ?? 0, answer));
        }, (error: unknown) => reject(unreachable(error)));
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${answerTimeoutMs} ms`)));
      outgoing.on('error', (error) => reject(unreachable(error)));
      outgoing.end(body);
    });
  }

  #headers(contentType: string | undefined): Record<string, string> {
    return { authorization: `Bearer ${this.#options.token}`, ...(contentType !== undefined && { 'content-type': contentType }) };
  }
}

function collect(response: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > answerMaxBytes) response.destroy(new Error(`an answer of more than ${answerMaxBytes} bytes`));
      else chunks.push(chunk);
    });
    response.on('end', () => resolve(Buffer.concat(chunks)));
    response.on('error', reject);
    response.on('close', () => reject(new Error('the answer broke off')));
  });
}

/** What the control plane refused with; `expected` is the sequence that `journal_gap` asks for. */
export class ControlPlaneRefusal extends SallyportError {
  readonly expected: number | undefined;

  constructor(problem: Partial<Problem> & { readonly expected?: unknown }, status: number) {
    const code = problem.code !== undefined && Object.hasOwn(errorCatalogue, problem.code) ? problem.code as ErrorCode : status >= 500 ? 'control_plane_unreachable' : 'invalid_request';
    super(code, problem.detail ?? `The control plane answered ${status}.`);
    this.expected = typeof problem.expected === 'number' && Number.isSafeInteger(problem.expected) ? problem.expected : undefined;
  }
}

function problemOf(status: number, body: Buffer): ControlPlaneRefusal {
  let problem: unknown;
  try {
    problem = JSON.parse(body.toString());
  } catch {
    // Not a problem document; the status alone has to do.
  }
  return new ControlPlaneRefusal(typeof problem === 'object' && problem !== null ? problem : {}, status);
}

function unreachable(error: unknown): SallyportError {
  return new SallyportError('control_plane_unreachable', `The control plane cannot be reached: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
}
