import type { Client, Place } from '../client.ts';
import { bytes, type Part } from '../origins/site.ts';

/** A page whose icon lies in itself: nothing else is asked for. */
export const documents: Readonly<Record<string, Part>> = {
  '/document': (_request, response) => bytes(response, 200, 'text/html', Buffer.from('<!doctype html><link rel="icon" href="data:,"><title>t</title>the document')),
};

const drive = ({ channel, trust, url }: Place, ...what: readonly string[]): string => {
  const node = channel === 'jail' ? 'node' : process.execPath;
  return `${trust === undefined ? '' : `CHROMIUM_CA="${trust}" `}${node} "$TOOLS/chromium/drive.mjs" '${url}' ${what.join(' ')}`;
};

export const chromium: Client = {
  name: 'headless Chromium',
  programs: ['chromium'],
  steps: [{
    title: 'a page, fetch, an EventSource and a WebSocket',
    command: (place) => drive(place, 'page', 'fetch', 'events', 'websocket'),
    prints: '200 the document\n200 the page\n200 one two three\n200 hello\n',
    seen: ({ way }) => {
      const version = way === 'plain' ? '1.1' : '2.0';
      return [
        { method: 'GET', target: '/document', version },
        { method: 'GET', target: '/page?x=2', version },
        { method: 'GET', target: '/events', version },
        { method: 'GET', target: '/socket', version: '1.1' },
      ];
    },
  }],
  refusals: [
    {
      title: 'a document and fetch of a host that nothing allows',
      of: 'host',
      command: (place) => drive(place, 'refused', 'refused-fetch'),
      shows: /^403 .*policy_denied.*^403 .*policy_denied/ms,
      // A document, its icon and a fetch, over one tunnel or another.
      tries: 'several',
    },
  ],
  documentation: {
    proxy: 'in a jail nothing; else `--proxy-server=HOST:PORT`, and credentials from whoever drives it (`Fetch.continueWithAuth`, Playwright\'s `proxy`), as headless nobody is asked',
    trust: '`certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n sallyport -i FILE`',
    refusal: 'the problem document as the page, and to `fetch` as status 403 and the body',
  },
};
