import type { Client, Place, Refusal } from '../client.ts';
import { grpcRefusals, grpcSteps } from './grpc-steps.ts';

const go = (client: string, url: string): string => `"$TOOLS/go/client" ${client} '${url}'`;
const rust = (url: string): string => `"$TOOLS/rust/client" '${url}'`;

const refusals = (command: (url: string) => string): readonly Refusal[] => [
  { title: 'a host that nothing allows', of: 'host', command: ({ url }) => command(`${url}/page`) },
  { title: 'a path that nothing allows', of: 'path', command: ({ url }) => command(`${url}/forbidden`) },
];

/** One page; over TLS both choose HTTP/2. */
const page = (command: (url: string) => string): Client['steps'] => [{
  title: 'a page',
  command: ({ url }) => command(`${url}/page?x=1`),
  prints: 'the page\n',
  seen: ({ way }: Place) => [{ method: 'GET', target: '/page?x=1', version: way === 'plain' ? '1.1' : '2.0' }],
}];

export const goHttp: Client = {
  name: 'Go net/http',
  programs: ['go'],
  steps: page((url) => go('http', url)),
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
  steps: page(rust),
  refusals: refusals(rust),
  documentation: { proxy: 'nothing', trust: '`SSL_CERT_FILE` (with the features `rustls` and `native-tls`; before 0.13 `rustls-tls` brings authorities of its own and heeds nothing, in a jail too)', refusal: 'status 403 and the body' },
};
