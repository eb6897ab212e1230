import type { Client, Place, Refusal } from '../client.ts';
import { big, digestOf, tookZeros } from '../origins/site.ts';
import { grpcRefusals, grpcSteps } from './grpc-steps.ts';

const go = (client: string, url: string): string => `"$TOOLS/go/client" ${client} '${url}'`;
const rust = (url: string): string => `"$TOOLS/rust/client" '${url}'`;

const refusals = (command: (url: string) => string): readonly Refusal[] => [
  { title: 'a host that nothing allows', of: 'host', command: ({ url }) => command(`${url}/page`) },
  { title: 'a path that nothing allows', of: 'path', command: ({ url }) => command(`${url}/forbidden`) },
];

/** Over TLS both choose HTTP/2. */
const version = ({ way }: Place): '1.1' | '2.0' => (way === 'plain' ? '1.1' : '2.0');

const fetched = (command: (url: string) => string): Client['steps'] => [
  {
    title: 'a page',
    command: ({ url }) => command(`${url}/page?x=1`),
    prints: 'the page\n',
    seen: (place) => [{ method: 'GET', target: '/page?x=1', version: version(place) }],
  },
  {
    title: 'a download',
    command: ({ url }) => `${command(`${url}/big`)} | sha256sum`,
    prints: digestOf(big),
    seen: (place) => [{ method: 'GET', target: '/big', version: version(place) }],
  },
];

export const goHttp: Client = {
  name: 'Go net/http',
  programs: ['go'],
  steps: [...fetched((url) => go('http', url)), {
    title: 'an upload',
    command: ({ url }) => go('upload', `${url}/upload`),
    prints: tookZeros,
    seen: (place) => [{ method: 'PUT', target: '/upload', version: version(place) }],
  }],
  refusals: refusals((url) => go('http', url)),
  documentation: { proxy: 'nothing', trust: '`SSL_CERT_FILE`', refusal: 'status 403 and the body' },
};

export const goGrpc: Client = {
  name: 'grpc-go',
  programs: ['go'],
  origin: 'grpc',
  steps: grpcSteps((_place, url) => go('grpc', url)),
  refusals: grpcRefusals((_place, url) => go('grpc', url)),
  documentation: { proxy: 'nothing', trust: '`SSL_CERT_FILE`', refusal: '`PermissionDenied` with the reason as its message' },
};

export const reqwest: Client = {
  name: 'Rust reqwest',
  programs: ['rust'],
  steps: fetched(rust),
  refusals: refusals(rust),
  documentation: { proxy: 'nothing', trust: '`SSL_CERT_FILE` (with the features `rustls` and `native-tls`; before 0.13 `rustls-tls` brings authorities of its own and heeds nothing, in a jail too)', refusal: 'status 403 and the body' },
};
