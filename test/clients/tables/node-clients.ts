import type { Client, Place, Refusal, Step } from '../client.ts';
import { tookZeros } from '../origins/site.ts';
import { grpcRefusals, grpcSteps } from './grpc-steps.ts';

/** The Node of the project: in a jail the one that it starts with. Older ones read no variable that names a proxy. */
const node = ({ channel }: Place): string => (channel === 'jail' ? 'node' : process.execPath);

const run = (place: Place, client: string, url: string, what = ''): string => `${node(place)} "$TOOLS/node/client.mjs" ${client} '${url}' ${what}`;

const page = (client: string, version: '1.1' | '2.0'): Step => ({
  title: 'a page',
  command: (place) => run(place, client, `${place.url}/page?x=1`),
  prints: 'the page\n',
  seen: ({ way }) => [{ method: 'GET', target: '/page?x=1', version: way === 'plain' ? '1.1' : version }],
});

const upload = (client: string, version: '1.1' | '2.0'): Step => ({
  title: 'an upload',
  command: (place) => run(place, client, `${place.url}/upload`, 'upload'),
  prints: tookZeros,
  seen: ({ way }) => [{ method: 'PUT', target: '/upload', version: way === 'plain' ? '1.1' : version }],
});

const refusals = (client: string): readonly Refusal[] => [
  { title: 'a host that nothing allows', of: 'host', command: (place) => run(place, client, `${place.url}/page`) },
  { title: 'a path that nothing allows', of: 'path', command: (place) => run(place, client, `${place.url}/forbidden`) },
];

const fetching = (name: string, client: string, version: '1.1' | '2.0', proxy: string, more: readonly Step[] = []): Client => ({
  name,
  programs: ['node'],
  steps: [page(client, version), ...more],
  refusals: refusals(client),
  documentation: { proxy, trust: '`NODE_EXTRA_CA_CERTS`', refusal: 'status 403 and the body' },
});

const webSocket: Client = {
  name: 'ws',
  programs: ['node'],
  steps: [{
    title: 'a WebSocket',
    command: (place) => run(place, 'ws', `${place.webSocket}/socket`),
    prints: 'hello',
    seen: () => [{ method: 'GET', target: '/socket', version: '1.1' }],
  }],
  refusals: [
    { title: 'a host that nothing allows', of: 'host', command: (place) => run(place, 'ws', `${place.webSocket}/socket`) },
  ],
  documentation: { proxy: '`agent: new HttpsProxyAgent(process.env.HTTPS_PROXY)`', trust: '`NODE_EXTRA_CA_CERTS`', refusal: '`unexpected-response` with status 403 and the body' },
};

const grpc: Client = {
  name: 'grpc-js',
  programs: ['node'],
  origin: 'grpc',
  steps: grpcSteps((place, url) => run(place, 'grpc', url)),
  refusals: grpcRefusals((place, url) => run(place, 'grpc', url)),
  documentation: { proxy: 'nothing', trust: '`NODE_EXTRA_CA_CERTS`', refusal: '`PERMISSION_DENIED` with the reason as its message' },
};

export const nodeClients: readonly Client[] = [
  fetching('Node fetch', 'fetch', '1.1', 'nothing (`NODE_USE_ENV_PROXY=1` is set; Node 24 and later)', [upload('fetch', '1.1')]),
  fetching('undici', 'undici', '2.0', '`dispatcher: new EnvHttpProxyAgent()`', [upload('undici', '2.0')]),
  fetching('axios', 'axios', '1.1', 'nothing'),
  fetching('got', 'got', '1.1', 'nothing (as Node fetch)'),
  webSocket,
  grpc,
];
