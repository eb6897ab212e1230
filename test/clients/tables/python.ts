import type { Client, Documentation, Expected, Step, Way } from '../client.ts';
import { digestOf } from '../origins/site.ts';

const run = (name: string, url: string): string => `PYTHONPATH="$TOOLS/python/site" python3 "$TOOLS/client.py" ${name} '${url}'`;

const million = Buffer.alloc(1_000_000);
const printed = `the page\n${digestOf(million)} 1000000\ndata: one\n\ndata: two\n\ndata: three\n`;

/** Those for HTTP in general do the same three things. */
const http = (name: string, title: string, documentation: Documentation): Client => ({
  name: title,
  programs: ['python'],
  steps: [{ title: 'a page, an upload and a stream of events', command: ({ url }) => run(name, url), prints: printed, seen: () => requests('1.1') }],
  refusals: [{ title: 'a host that nothing allows', of: 'host', command: ({ url }) => run(name, url) }],
  documentation,
});

const requests = (version: '1.1' | '2.0'): readonly Expected[] => [
  { method: 'GET', target: '/page?x=1', version },
  { method: 'POST', target: '/upload', version },
  { method: 'GET', target: '/events', version },
];

const statusLine = 'the message of the exception';


const urllib: Client = http('urllib', 'Python urllib', { proxy: 'nothing', trust: '`SSL_CERT_FILE`', refusal: statusLine });

const inHttp2 = (way: Way): '1.1' | '2.0' => way === 'plain' ? '1.1' : '2.0';

const httpx: Client = http('httpx', 'httpx', { proxy: 'nothing', trust: '`SSL_CERT_FILE`', refusal: `${statusLine}; with \`http2=True\` the body alone` });

const calls = (...steps: readonly Step[]): Pick<Client, 'programs' | 'steps'> => ({ programs: ['python'], steps });

export const pythonClients: readonly Client[] = [
  urllib,
  http('requests', 'requests', { proxy: 'nothing', trust: '`REQUESTS_CA_BUNDLE`', refusal: statusLine }),
  {
    ...httpx,
    steps: [...httpx.steps, {
      title: 'the same over HTTP/2',
      ways: ['intercepted', 'passthrough'],
      command: ({ url }) => run('httpx_http2', url),
      prints: /HTTP\/2\nthe page\nHTTP\/2\n.* 1000000\ndata: one/,
      seen: ({ way }) => requests(inHttp2(way)),
    }],
    refusals: [...httpx.refusals, { title: 'a host that nothing allows, over HTTP/2', of: 'host', command: ({ url }) => run('httpx_http2', url) }],
  },
  http('aiohttp', 'aiohttp', { proxy: '`trust_env=True`', trust: '`SSL_CERT_FILE`', refusal: statusLine }),
  {
    name: 'websockets',
    ...calls({
      title: 'an echo', command: ({ webSocket }) => run('websockets', webSocket), prints: 'hello\n', seen: () => [{ method: 'GET', target: '/socket', version: '1.1' }],
    }),
    refusals: [{ title: 'a host that nothing allows', of: 'host', command: ({ webSocket }) => run('websockets', webSocket) }],
    documentation: { proxy: 'nothing (since 15)', trust: '`SSL_CERT_FILE`', refusal: '`exception.response.body`; the message has the number alone' },
  },
  {
    name: 'grpcio',
    origin: 'grpc',
    ...calls({
      title: 'a call of each kind',
      command: ({ url }) => run('grpc', url),
      prints: 'echo a\nb1 b2 b3\necho c echo d\n',
      seen: () => [
        { method: 'POST', target: '/test.Echo/Unary', version: '2.0', body: 'a' },
        { method: 'POST', target: '/test.Echo/Stream', version: '2.0', body: 'b' },
        { method: 'POST', target: '/test.Echo/Bidi', version: '2.0', body: 'c d' },
      ],
    }),
    refusals: [{ title: 'a host that nothing allows', of: 'host', command: ({ url }) => run('grpc', url) }],
    documentation: { proxy: 'nothing', trust: '`GRPC_DEFAULT_SSL_ROOTS_FILE_PATH`', refusal: 'the details of the status `PERMISSION_DENIED`' },
  },
  {
    name: 'OpenAI SDK for Python',
    ...calls({
      title: 'chat completions and responses, plain and streaming',
      command: ({ url }) => run('openai', url),
      prints: 'plain hello\nstreamed hello\nplain hello\nstreamed hello\n',
      seen: () => [
        { method: 'POST', target: '/v1/chat/completions', body: /"stand-in"/ }, { method: 'POST', target: '/v1/chat/completions', body: /"stream":\s*true/ },
        { method: 'POST', target: '/v1/responses', body: /"stand-in"/ }, { method: 'POST', target: '/v1/responses', body: /"stream":\s*true/ },
      ],
    }),
    refusals: [{ title: 'a host that nothing allows', of: 'host', command: ({ url }) => run('openai', url) }],
    documentation: { proxy: 'nothing', trust: '`SSL_CERT_FILE`', refusal: 'the message of `PermissionDeniedError`' },
  },
  {
    name: 'Anthropic SDK for Python',
    ...calls({
      title: 'messages, plain and streaming',
      command: ({ url }) => run('anthropic', url),
      prints: 'plain hello\nstreamed hello\nend_turn\n',
      seen: () => [{ method: 'POST', target: '/v1/messages', body: /"stand-in"/ }, { method: 'POST', target: '/v1/messages', body: /"stream":\s*true/ }],
    }),
    refusals: [{ title: 'a host that nothing allows', of: 'host', command: ({ url }) => run('anthropic', url) }],
    documentation: { proxy: 'nothing', trust: '`SSL_CERT_FILE`', refusal: 'the message of `PermissionDeniedError`, which has the whole body' },
  },
];
