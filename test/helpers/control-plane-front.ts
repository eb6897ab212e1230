import { once } from 'node:events';
import { request } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Certificate } from './certificate.ts';
import type { Lifetime } from './lifetime.ts';

/** TLS before the API, as an operator would put it there; the cable that a test can cut. */
export interface Front {
  readonly port: number;
  cut(): Promise<void>;
  mend(): Promise<void>;
}

export interface FrontOptions {
  readonly host: string;
  readonly certificate: Certificate;
  /** `host:port` of the API. */
  readonly api: string;
  /** What the snapshot's age may be, in place of the five minutes that `hello` names. */
  readonly snapshotMaxAgeMs: number;
}

export async function startFront(lifetime: Lifetime, { host, certificate, api, snapshotMaxAgeMs }: FrontOptions): Promise<Front> {
  const [apiHost = '', apiPort] = api.split(':');
  const make = (): Server => createServer({ key: certificate.key, cert: certificate.cert, requestTimeout: 0 }, (incoming, response) => {
    const outgoing = request({ host: apiHost, port: Number(apiPort), method: incoming.method, path: incoming.url, headers: incoming.headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.on('data', (bytes: Buffer) => response.write(bytes.toString('latin1').replace(/"snapshot_max_age_ms":\d+/, `"snapshot_max_age_ms":${snapshotMaxAgeMs}`), 'latin1'));
      answer.on('end', () => response.end());
      answer.on('error', () => response.destroy());
    });
    outgoing.on('error', () => response.destroy());
    response.on('close', () => outgoing.destroy());
    incoming.pipe(outgoing);
  });
  let server = make();
  const listen = async (port: number): Promise<void> => {
    server.listen(port, host);
    await once(server, 'listening');
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const cut = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  lifetime.teardown(cut);
  const mend = async (): Promise<void> => {
    if (server.listening) return;
    server = make();
    await listen(port);
  };
  return { port, cut, mend };
}
