import { createRequire } from 'node:module';
import type { Lifetime } from '../../helpers/lifetime.ts';
import { freshAddress } from '../../helpers/world.ts';
import { programs } from '../programs.ts';

/** What this file uses of @grpc/grpc-js, which is no dependency of ours but lies with the clients (see programs.ts). */
interface Grpc {
  readonly Server: new () => {
    addService(service: Readonly<Record<string, MethodDefinition>>, handlers: Readonly<Record<string, (call: Call, callback: Callback) => void>>): void;
    bindAsync(address: string, credentials: unknown, bound: (error: Error | null, port: number) => void): void;
    forceShutdown(): void;
  };
  readonly Metadata: new () => Metadata;
  readonly ServerCredentials: {
    createInsecure(): unknown;
    createSsl(roots: null, pairs: readonly { readonly private_key: Buffer; readonly cert_chain: Buffer }[]): unknown;
  };
}

interface Metadata {
  set(name: string, value: string): void;
  getMap(): Readonly<Record<string, unknown>>;
}

interface MethodDefinition {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (text: string) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => string;
  readonly responseSerialize: (text: string) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => string;
}

interface Call extends NodeJS.EventEmitter {
  readonly request: string;
  readonly metadata: Metadata;
  getPath(): string;
  write(text: string): void;
  end(trailers?: Metadata): void;
}

type Callback = (error: null, text: string, trailers?: Metadata) => void;

interface SeenCall {
  /** `/test.Echo/Unary`, `/test.Echo/Stream` or `/test.Echo/Bidi`. */
  readonly path: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Messages that came, in order. */
  readonly messages: readonly string[];
}

export interface GrpcOrigin {
  readonly address: string;
  readonly port: number;
  readonly calls: readonly SeenCall[];
}

export interface GrpcOriginOptions {
  /** Default: a public address of its own. */
  readonly address?: string;
  /** Default: 443 with `tls`, 80 without. */
  readonly port?: number;
  /** PEM. Without it the server speaks HTTP/2 in clear text (prior knowledge). */
  readonly tls?: { readonly key: string; readonly cert: string };
}

const method = (name: string, requestStream: boolean, responseStream: boolean): MethodDefinition => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: Buffer.from,
  requestDeserialize: String,
  responseSerialize: Buffer.from,
  responseDeserialize: String,
});

/**
 * A gRPC server whose messages are plain text in place of protobuf. `Unary` answers `echo <text>`; `Stream` answers `<text>1`,
 * `<text>2` and `<text>3`; `Bidi` answers each message with `echo <text>` as it comes. Each sends the trailer `x-served: <name>`.
 */
export async function startGrpcOrigin(lifetime: Lifetime, options: GrpcOriginOptions = {}): Promise<GrpcOrigin> {
  const grpc = createRequire(`${programs('node')}/`)('@grpc/grpc-js') as Grpc;
  const calls: SeenCall[] = [];
  const seen = (call: Call, messages: readonly string[]): void => {
    calls.push({ path: call.getPath(), metadata: call.metadata.getMap(), messages });
  };
  const trailers = (name: string): Metadata => {
    const metadata = new grpc.Metadata();
    metadata.set('x-served', name);
    return metadata;
  };

  const server = new grpc.Server();
  server.addService({ unary: method('Unary', false, false), stream: method('Stream', false, true), bidi: method('Bidi', true, true) }, {
    unary(call, callback) {
      seen(call, [call.request]);
      callback(null, `echo ${call.request}`, trailers('Unary'));
    },
    stream(call) {
      seen(call, [call.request]);
      for (const number of [1, 2, 3]) call.write(`${call.request}${number}`);
      call.end(trailers('Stream'));
    },
    bidi(call) {
      const messages: string[] = [];
      seen(call, messages);
      call.on('data', (text: string) => {
        messages.push(text);
        call.write(`echo ${text}`);
      });
      call.on('end', () => call.end(trailers('Bidi')));
      call.on('error', () => { /* A call that broke off has the messages that came. */ });
    },
  });

  const address = options.address ?? await freshAddress();
  const { tls } = options;
  const credentials = tls === undefined
    ? grpc.ServerCredentials.createInsecure()
    : grpc.ServerCredentials.createSsl(null, [{ private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) }]);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${address}:${options.port ?? (tls === undefined ? 80 : 443)}`, credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  lifetime.teardown(() => server.forceShutdown());
  return { address, port, calls };
}
