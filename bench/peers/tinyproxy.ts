import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch } from './launch.ts';
import type { Peer } from './peer.ts';

export const tinyproxy: Peer = {
  name: 'tinyproxy', program: { name: 'tinyproxy', flag: '-v', install: 'apt-get install tinyproxy' }, tunnels: true, keepsAlive: false, intercepts: false,
  note: 'closes after each answer without saying so: a new connection per request in every work',
  start: (place) => launch(place, 'tinyproxy', (port) => {
    const file = join(place.folder, 'tinyproxy.conf');
    writeFileSync(file, [`Port ${port}`, 'Listen 127.0.0.1', 'Timeout 3600', `LogFile "${place.folder}/tinyproxy.log"`, 'LogLevel Critical', 'MaxClients 24000', 'Allow 127.0.0.0/8', ''].join('\n'));
    return ['-d', '-c', file];
  }),
};
