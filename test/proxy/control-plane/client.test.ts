import test from 'ava';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { SallyportError } from '../../../contracts/errors.ts';
import { ControlPlane, type ControlPlaneAddress } from '../../../proxy/control-plane/client.ts';
import { makeCertificate } from '../../helpers/certificate.ts';
import type { Lifetime } from '../../helpers/lifetime.ts';
import { needs } from '../../helpers/needs.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const token = 'sp_px_of_this_installation';

interface Endpoint { readonly host: string; readonly port: number }

function make(lifetime: Lifetime, address: ControlPlaneAddress, peers: Endpoint[] = []): ControlPlane {
  const client = new ControlPlane({ address, token, onPeer: (endpoint) => peers.push(endpoint) });
  lifetime.teardown(() => client.close());
  return client;
}

async function listen(lifetime: Lifetime, server: Server & { closeAllConnections(): void }, where: object): Promise<number> {
  server.listen(where);
  await once(server, 'listening');
  lifetime.teardown(() => { server.close(); server.closeAllConnections(); });
  return (server.address() as AddressInfo).port;
}

/** Says who asked for what; `/stream` goes on for ever. */
const echo = (seen: IncomingMessage[]): RequestListener => (request, response) => {
  seen.push(request);
  request.resume();
  if (request.url === '/stream') response.write('{}\n');
  else response.end(JSON.stringify({ path: request.url, authorization: request.headers.authorization }));
};

test('the data-plane API is called by a socket of this machine or by a URL, with the token', async (t) => {
  const seen: IncomingMessage[] = [];
  const path = join(await temporaryFolder(t), 'api.sock');
  await listen(t, createServer(echo(seen)), { path });
  const port = await listen(t, createServer(echo(seen)), { port: 0, host: '127.0.0.1' });
  const peers: Endpoint[] = [];
  for (const address of [{ socketPath: path }, { url: new URL(`http://127.0.0.1:${port}`) }]) {
    const client = make(t, address, peers);
    t.deepEqual(await client.post('/x', {}), { path: '/x', authorization: `Bearer ${token}` });
    const over = new AbortController();
    const stream = await client.open('/stream', over.signal);
    stream.on('error', () => { /* It is given up. */ });
    over.abort();
  }
  t.deepEqual(peers, [{ host: '127.0.0.1', port }], 'where a control plane was met over TCP is not told');
});

needs('command openssl')('a control plane whose certificate nobody vouches for, or is of another name, gets no token', async (t) => {
  const seen: IncomingMessage[] = [];
  const { key, cert } = await makeCertificate(t, 'IP:127.0.0.1');
  const server = createTlsServer({ key, cert }, echo(seen));
  const port = await listen(t, server, { port: 0, host: '127.0.0.1' });
  const refused = async (address: ControlPlaneAddress): Promise<void> => {
    const client = make(t, address);
    for (const call of [client.post('/x', {}), client.open('/stream', new AbortController().signal)]) {
      const error = await t.throwsAsync(call, { instanceOf: SallyportError });
      t.is(error?.code, 'control_plane_unreachable');
    }
  };
  await refused({ url: new URL(`https://127.0.0.1:${port}`) });
  await refused({ url: new URL(`https://localhost:${port}`), ca: cert });
  t.is(seen.length, 0);
  t.like(await make(t, { url: new URL(`https://127.0.0.1:${port}`), ca: cert }).post('/x', {}), { path: '/x' });
});
