/**
 * `client.mjs CLIENT URL [upload]`: fetches the URL with that client, or puts two million zeros there, and prints the body; of any answer
 * but a success it prints status and body on standard error and ends with 1. `ws` says `hello` to a WebSocket and prints what comes back;
 * `grpc` makes the three calls of origins/grpc.ts. Proxy and trust come from the environment alone, as each client reads it.
 */
import { createRequire } from 'node:module';

const [client, url, upload] = process.argv.slice(2);
const put = upload === undefined ? {} : { method: 'PUT', body: Buffer.alloc(2_000_000) };
const refused = (status, body) => {
  process.exitCode = 1;
  console.error(`${status} ${body}`);
};
const answer = (status, body) => (status < 300 ? process.stdout.write(body) : refused(status, body));

/** What makes a client use the proxy where it has no way of its own: the agent that its documentation names. */
async function proxyAgent() {
  const { HttpsProxyAgent } = createRequire(import.meta.url)('https-proxy-agent');
  const variable = new URL(url).protocol === 'wss:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  return process.env[variable] === undefined ? undefined : new HttpsProxyAgent(process.env[variable]);
}

const clients = {
  async fetch() {
    const response = await fetch(url, put);
    answer(response.status, await response.text());
  },
  async undici() {
    const { EnvHttpProxyAgent, request } = await import('undici');
    const dispatcher = new EnvHttpProxyAgent();
    const { statusCode, body } = await request(url, { dispatcher, ...put });
    answer(statusCode, await body.text());
    await dispatcher.close();
  },
  async axios() {
    const { default: axios } = await import('axios');
    const { status, data } = await axios.get(url, { responseType: 'text', validateStatus: () => true });
    answer(status, data);
  },
  async got() {
    const { default: got } = await import('got');
    const { statusCode, body } = await got(url, { throwHttpErrors: false });
    answer(statusCode, body);
  },
  async ws() {
    const { default: WebSocket } = await import('ws');
    const socket = new WebSocket(url, { agent: await proxyAgent() });
    await new Promise((resolve, reject) => {
      socket.on('open', () => socket.send('hello'));
      socket.on('message', (text) => {
        process.stdout.write(text.toString());
        socket.close();
      });
      socket.on('unexpected-response', async (_request, response) => {
        refused(response.statusCode, Buffer.concat(await response.toArray()).toString());
        resolve();
      });
      socket.on('close', resolve);
      socket.on('error', reject);
    });
  },
  async grpc() {
    const { credentials, makeGenericClientConstructor } = await import('@grpc/grpc-js');
    const text = { requestSerialize: Buffer.from, requestDeserialize: String, responseSerialize: Buffer.from, responseDeserialize: String };
    const Echo = makeGenericClientConstructor({
      unary: { path: '/test.Echo/Unary', requestStream: false, responseStream: false, ...text },
      stream: { path: '/test.Echo/Stream', requestStream: false, responseStream: true, ...text },
      bidi: { path: '/test.Echo/Bidi', requestStream: true, responseStream: true, ...text },
    }, 'Echo');
    const { protocol, host, port } = new URL(url.replace(/^grpc/, 'http'));
    const secure = protocol === 'https:';
    const echo = new Echo(`${host}${port === '' ? `:${secure ? 443 : 80}` : ''}`, secure ? credentials.createSsl() : credentials.createInsecure());
    const within = { deadline: Date.now() + 20_000 };
    const streamed = async (call) => (await call.toArray()).join(' ');
    try {
      console.log(await new Promise((resolve, reject) => {
        echo.unary('a', within, (error, value) => (error ? reject(error) : resolve(value)));
      }));
      console.log(await streamed(echo.stream('b', within)));
      const both = echo.bidi(within);
      // The second is said once the first came back: neither side may be held until the other ends.
      both.write('c');
      both.once('data', () => { both.end('d'); });
      console.log(await streamed(both));
    } catch (error) {
      refused(error.code, error.details);
    } finally {
      echo.close();
    }
  },
};

await clients[client]();
