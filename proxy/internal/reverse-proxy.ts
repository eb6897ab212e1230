import { createServer, request, type ClientRequest } from 'node:http';
import { duplexPair, type Duplex } from 'node:stream';
import { createProxyServer } from 'http-proxy-3';
import type { ControlPlaneAddress } from '../control-plane/client.ts';

export interface ReverseRequest {
  readonly method: string;
  /** In origin form. */
  readonly target: string;
  /** All fields but the framing, by lower-case name. */
  readonly fields: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Fields that are ours, whatever else was sent. */
  readonly identity: Readonly<Record<string, string>>;
}

/** For the connection to the control plane to be made. */
const connectMs = 5_000;

/**
 * The reverse route to the control plane, by `http-proxy` (docs/decisions/0009-the-reverse-route.md): an HTTP server that listens
 * nowhere. Each request gets a connection of its own in memory, so there is no socket that anybody else could find, and who asks is
 * known from the connection and not from anything in the request.
 */
export class ReverseProxy {
  readonly #identities = new WeakMap<Duplex, Readonly<Record<string, string>>>();
  readonly #server;

  constructor(target: ControlPlaneAddress) {
    const proxy = createProxyServer({
      target: 'socketPath' in target ? { socketPath: target.socketPath, host: 'control-plane', port: 80 } : target.url,
      // Connections are not kept: one that the control plane has just closed would cost the agent a failure.
      changeOrigin: true, connectTimeout: connectMs, ...('ca' in target && { ca: target.ca }),
    });
    // Left to itself it pipes, and an answer that breaks off leaves its client waiting for ever.
    proxy.on('proxyRes', (response, _request, answer) => {
      response.on('close', () => { if (!response.complete) answer.destroy(); });
    });
    this.#server = createServer({ maxHeaderSize: 16 * 1024 }, (incoming, answer) => {
      const identity = this.#identities.get(incoming.socket);
      if (identity === undefined) return void answer.destroy();
      proxy.web(incoming, answer, { headers: { ...identity } }, () => { answer.destroy(); });
    });
    // It would otherwise hand an upgrade to the ordinary handler and a CONNECT to nobody.
    this.#server.on('upgrade', (_request, socket: Duplex) => socket.destroy());
    this.#server.on('connect', (_request, socket: Duplex) => socket.destroy());
  }

  /** A request on its way; its `error` says that the control plane can't be reached, `destroy()` ends it on both sides. */
  send({ method, target, fields, body, identity }: ReverseRequest): ClientRequest {
    const [near, far] = duplexPair();
    this.#identities.set(far, identity);
    this.#server.emit('connection', far);
    const outgoing = request({
      method, path: target, createConnection: () => near,
      // Always a length: http-proxy sends the body of a chunked DELETE or OPTIONS outside of any framing (request smuggling).
      headers: { ...fields, host: 'sallyport.internal', ...((body.length > 0 || (method !== 'GET' && method !== 'HEAD')) && { 'content-length': body.length }) },
    });
    // Whichever side closes, the other must not wait for it.
    near.on('close', () => { far.destroy(); });
    far.on('close', () => { near.destroy(); });
    outgoing.end(body);
    return outgoing;
  }
}
