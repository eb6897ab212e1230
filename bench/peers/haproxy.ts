import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileLimit } from '../machine/usage.ts';
import { launch } from './launch.ts';
import type { Peer } from './peer.ts';

/** The floor: it looks at nothing, and its origins stand in its configuration. It knows them by the authority it is asked for. */
export const haproxy: Peer = {
  name: 'haproxy', program: { name: 'haproxy', flag: '-v', install: 'apt-get install haproxy' }, tunnels: false, keepsAlive: true, intercepts: false, note: 'the floor: fixed backends, no CONNECT',
  start: (place) => launch(place, 'haproxy', (port) => {
    const file = join(place.folder, 'haproxy.cfg');
    const origins = Object.entries(place.origins);
    writeFileSync(file, [
      'global', '  nbthread 1', `  maxconn ${Math.min(20_000, Math.floor((fileLimit('self') - 100) / 2))}`,
      'defaults', '  mode http', '  timeout client 1h', '  timeout server 1h', '  timeout connect 5s', '  timeout http-keep-alive 1h', '  option http-keep-alive', '  option http-no-delay', '  http-reuse always',
      'frontend all', `  bind 127.0.0.1:${port} backlog 4096`,
      ...origins.map(([name, origin]) => `  acl ${name} hdr(host) 127.0.0.1:${origin.port}`),
      '  http-request set-uri %[url,regsub(^http://[^/]*,)]',
      ...origins.map(([name]) => `  use_backend ${name} if ${name}`),
      ...origins.flatMap(([name, origin]) => [`backend ${name}`, `  server one 127.0.0.1:${origin.port} pool-max-conn 2048`]), '',
    ].join('\n'));
    return ['-db', '-f', file];
  }),
};
