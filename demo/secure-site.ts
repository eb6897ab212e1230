import { createServer } from 'node:https';
import type { Lifetime } from '../test/helpers/lifetime.ts';
import { listen } from '../test/helpers/listen.ts';
import { privateAuthority } from '../test/helpers/private-authority.ts';
import { shop } from './shop.ts';
import type { Site } from './sightings.ts';

/** The same shop in TLS. `authority`: the file of who vouches for it. */
export async function startSecureSite(lifetime: Lifetime, name: string, address: string): Promise<Site & { readonly authority: string }> {
  const { file: authority, key, cert } = await privateAuthority(lifetime, `DNS:${name}`);
  const requests: { readonly method: string; readonly target: string }[] = [];
  let connections = 0;
  const server = createServer({ key, cert }, (request, response) => {
    requests.push({ method: request.method ?? '', target: request.url ?? '' });
    shop(request, response);
  });
  server.on('connection', () => { connections++; });
  await listen(server, () => { server.listen(443, address); });
  lifetime.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return { authority, scheme: 'https', requests, connections: () => connections };
}
