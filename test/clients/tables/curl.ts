import type { Client } from '../client.ts';
import { big, digestOf, tookZeros } from '../origins/site.ts';

const page = { method: 'GET', target: '/page?x=1' } as const;

export const curl: Client = {
  name: 'curl',
  needs: ['command curl'],
  steps: [
    {
      title: 'a page over HTTP/1.1',
      command: ({ url }) => `curl -sS --fail --http1.1 '${url}/page?x=1'`,
      prints: 'the page\n',
      seen: () => [{ ...page, version: '1.1' }],
    },
    {
      title: 'a page over HTTP/2',
      ways: ['intercepted', 'passthrough'],
      command: ({ url }) => `curl -sS --fail --http2 -w '%{http_version}\\n' '${url}/page?x=1'`,
      prints: 'the page\n2\n',
      seen: () => [{ ...page, version: '2.0' }],
    },
    {
      title: 'a page through CONNECT in clear text',
      ways: ['plain'],
      command: ({ url }) => `curl -sS --fail --proxytunnel '${url}/page?x=1'`,
      prints: 'the page\n',
      seen: () => [{ ...page, version: '1.1' }],
    },
    {
      title: 'an upload',
      command: ({ url }) => `head -c 2000000 /dev/zero > zeros && curl -sS --fail -T zeros '${url}/upload'`,
      prints: tookZeros,
      seen: () => [{ method: 'PUT', target: '/upload' }],
    },
    {
      title: 'a download in two ranges',
      command: ({ url }) => `curl -sS --fail -r 0-999999 -o part '${url}/big' && curl -sS --fail -C 1000000 -o - '${url}/big' | cat part - | sha256sum`,
      prints: digestOf(big),
      seen: () => [{ method: 'GET', target: '/big' }, { method: 'GET', target: '/big' }],
    },
    {
      title: 'a stream of events',
      command: ({ url }) => `curl -sSN --fail '${url}/events'`,
      prints: 'data: one\n\ndata: two\n\ndata: three\n',
      seen: () => [{ method: 'GET', target: '/events' }],
    },
  ],
  refusals: [
    { title: 'a host that nothing allows', of: 'host', command: ({ url }) => `curl -sS '${url}/page'` },
    { title: 'a host that nothing allows, over HTTP/1.1', of: 'host', command: ({ url }) => `curl -sS --fail -v --http1.1 '${url}/page'` },
    { title: 'a path that nothing allows', of: 'path', command: ({ url }) => `curl -sS '${url}/forbidden'` },
  ],
  documentation: { proxy: 'nothing', trust: '`CURL_CA_BUNDLE`', refusal: 'the body; with `--fail` and HTTP/1.1 the status line in `-v`' },
};
