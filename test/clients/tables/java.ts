import type { Client, Expected, Place } from '../client.ts';

const java = ({ trust }: Place, ...words: readonly string[]): string => `${trust === undefined ? '' : `JAVA_CA="${trust}" `}"$TOOLS/java/run" ${words.map((word) => `'${word}'`).join(' ')}`;

const documentation: Client['documentation'] = {
  proxy: 'in a jail nothing; else `-Dhttps.proxyHost`, `-Dhttps.proxyPort` (and `http.`), `-Djdk.http.auth.tunneling.disabledSchemes=` and an `Authenticator`',
  trust: '`-Djavax.net.ssl.trustStore` made by `keytool -importcert`',
  refusal: 'status 403 and the body',
};

const page = ({ way }: Place, newest: '1.1' | '2.0'): Expected => ({ method: 'GET', target: '/page?x=1', version: way === 'plain' ? '1.1' : newest });

export const javaHttpClient: Client = {
  name: 'Java HttpClient',
  programs: ['java'],
  steps: [{
    title: 'a page and a WebSocket',
    command: (place) => java(place, 'client', `${place.url}/page?x=1`, 'websocket', `${place.webSocket}/socket`),
    prints: 'the page\nhello',
    seen: (place) => [page(place, '2.0'), { method: 'GET', target: '/socket', version: '1.1' }],
  }],
  refusals: [
    { title: 'a host that nothing allows', of: 'host', command: (place) => java(place, 'client', `${place.url}/page`) },
  ],
  documentation,
};

export const javaConnection: Client = {
  name: 'Java HttpURLConnection',
  programs: ['java'],
  steps: [{
    title: 'a page',
    command: (place) => java(place, 'connection', `${place.url}/page?x=1`),
    prints: 'the page\n',
    seen: (place) => [page(place, '1.1')],
  }],
  refusals: [
    { title: 'a path that nothing allows', of: 'path', command: (place) => java(place, 'connection', `${place.url}/forbidden`) },
  ],
  documentation,
};
