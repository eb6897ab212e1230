/**
 * `drive.mjs URL WHAT...`: what headless Chromium gets from one origin, in one browser, a line each. WHAT is `page` (the text of
 * /document), and from a page of that origin `fetch` (/page?x=2), `events` (three of an EventSource, /events) or `websocket`
 * (what comes back to `hello`); or `refused` and `refused-fetch`: status and text of /forbidden as a document, and by fetch.
 * Without credentials Chromium reads HTTPS_PROXY by itself. Those it does not take from there; this gives them when the proxy asks, as
 * tools that drive a browser do. An authority to trust is in CHROMIUM_CA (PEM), for which it has the certificate store (NSS) of the home.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [origin, ...wanted] = process.argv.slice(2);
const home = mkdtempSync(join(tmpdir(), 'chromium-'));
process.on('exit', () => rmSync(home, { recursive: true, force: true, maxRetries: 5 }));

const authority = process.env.CHROMIUM_CA;
if (authority !== undefined) {
  const store = join(home, '.pki/nssdb');
  mkdirSync(store, { recursive: true });
  const certutil = (...args) => execFileSync('certutil', ['-d', `sql:${store}`, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
  certutil('-N', '--empty-password');
  certutil('-A', '-n', 'an authority', '-t', 'C,,', '-i', authority);
}

const proxy = new URL(process.env.HTTPS_PROXY);
const credentials = proxy.username === '' ? undefined : { username: decodeURIComponent(proxy.username), password: decodeURIComponent(proxy.password) };

/** What it asks its maker by itself: the time, updates of its parts. */
const quiet = [
  '--disable-background-networking', '--disable-component-update', '--disable-default-apps', '--disable-extensions', '--disable-sync',
  '--component-updater=url-source=http://127.0.0.1:1/',
  '--disable-features=NetworkTimeServiceQuerying,OptimizationHints', '--no-first-run', '--no-pings',
];
const browser = spawn('chromium', [
  '--headless', '--disable-gpu', '--disable-quic', '--no-zygote', ...quiet, `--user-data-dir=${join(home, 'profile')}`,
  // Its own sandbox does not start as root. In a jail Debian's launcher is told so by the jail.
  ...(credentials === undefined ? [] : ['--no-sandbox', `--proxy-server=${proxy.host}`]),
  '--remote-debugging-pipe', 'about:blank',
], { stdio: ['ignore', 'ignore', process.env.VERBOSE === undefined ? 'ignore' : 'inherit', 'pipe', 'pipe'], env: { ...process.env, HOME: home } });

// The protocol of the developer tools over descriptors 3 and 4: JSON, each message ended by a NUL.
const waiting = new Map();
const listeners = new Map();
let last = 0;
let held = '';
browser.stdio[3].on('error', () => {});
browser.stdio[4].setEncoding('utf8').on('data', (text) => {
  const messages = (held + text).split('\0');
  held = messages.pop();
  for (const message of messages.map((each) => JSON.parse(each))) {
    if (message.id === undefined) listeners.get(message.method)?.(message.params, message.sessionId);
    else waiting.get(message.id)(message);
  }
});
const gone = new Promise((_resolve, reject) => {
  browser.on('error', reject);
  browser.on('exit', (code, signal) => reject(new Error(`Chromium ended with ${code ?? signal}.`)));
});
function call(method, params = {}, sessionId) {
  last += 1;
  const id = last;
  browser.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
  return Promise.race([gone, new Promise((resolve, reject) => {
    waiting.set(id, ({ result, error }) => (error === undefined ? resolve(result) : reject(new Error(`${method}: ${error.message}`))));
  })]);
}
const event = (method) => Promise.race([gone, new Promise((resolve) => { listeners.set(method, resolve); })]);

const address = (path) => `${origin}${path}`;
const inPage = {
  fetch: (url) => `fetch(${url}).then(async (response) => [response.status, await response.text()])`,
  events: (url) => `new Promise((resolve, reject) => {
    const source = new EventSource(${url});
    const came = [];
    source.onmessage = ({ data }) => { came.push(data); };
    // It comes as well when the stream has ended, before the source would connect again.
    source.onerror = () => {
      source.close();
      if (came.length === 3) resolve([200, came.join(' ')]);
      else reject(new Error('the event source failed'));
    };
  })`,
  websocket: (url) => `new Promise((resolve, reject) => {
    const socket = new WebSocket(${url});
    socket.onopen = () => socket.send('hello');
    socket.onmessage = ({ data }) => {
      socket.onclose = () => resolve([200, data]);
      socket.close();
    };
    socket.onerror = () => reject(new Error('the WebSocket failed'));
  })`,
};
const whats = {
  page: async (session) => [await open(session, address('/document')), await evaluate(session, 'document.body.innerText')],
  fetch: (session) => evaluate(session, inPage.fetch(JSON.stringify(address('/page?x=2')))),
  events: (session) => evaluate(session, inPage.events(JSON.stringify(address('/events')))),
  websocket: (session) => evaluate(session, inPage.websocket(JSON.stringify(address('/socket').replace(/^http/, 'ws')))),
  refused: async (session) => [await open(session, address('/forbidden')), await evaluate(session, 'document.body.innerText')],
  'refused-fetch': (session) => evaluate(session, inPage.fetch(JSON.stringify(address('/forbidden')))),
};

async function open(session, url) {
  const answer = event('Network.responseReceived');
  const loaded = event('Page.loadEventFired');
  const { errorText } = await call('Page.navigate', { url }, session);
  if (errorText !== undefined) throw new Error(errorText);
  const { response } = await answer;
  await loaded;
  return response.status;
}

async function evaluate(session, expression) {
  const { result, exceptionDetails } = await call('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true }, session);
  if (exceptionDetails !== undefined) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value;
}

async function drive() {
  const { targetInfos } = await call('Target.getTargets');
  const { targetId } = targetInfos.find(({ type }) => type === 'page') ?? await call('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true });
  await call('Page.enable', {}, sessionId);
  await call('Network.enable', {}, sessionId);
  if (credentials !== undefined) {
    listeners.set('Fetch.requestPaused', ({ requestId }, session) => { call('Fetch.continueRequest', { requestId }, session); });
    listeners.set('Fetch.authRequired', ({ requestId, authChallenge }, session) => {
      const response = authChallenge.source === 'Proxy' ? { response: 'ProvideCredentials', ...credentials } : { response: 'CancelAuth' };
      call('Fetch.continueWithAuth', { requestId, authChallengeResponse: response }, session);
    });
    await call('Fetch.enable', { handleAuthRequests: true }, sessionId);
  }
  for (const what of wanted) {
    const [status, text] = await whats[what](sessionId);
    console.log(`${status} ${text.trim()}`);
  }
}

try {
  await drive();
} catch (error) {
  console.error(String(error));
  process.exitCode = 1;
} finally {
  gone.catch(() => {});
  // Its own end, so that the profile is no longer written when it is removed.
  const ended = once(browser, 'exit');
  call('Browser.close').catch(() => {});
  await ended;
}
