import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileLimit } from '../machine/usage.ts';
import { launch } from './launch.ts';
import type { Peer } from './peer.ts';

/** What all of ours have: one worker, nothing cached, nothing logged. */
export const squidSettings = (folder: string): readonly string[] => [
  `pid_filename ${folder}/pid`, `cache_log ${folder}/cache.log`, 'access_log none', 'cache_store_log none', 'cache deny all', 'cache_mem 8 MB',
  `coredump_dir ${folder}`, 'http_access allow all', 'client_persistent_connections on', 'server_persistent_connections on', 'pconn_timeout 1 hour', 'read_timeout 2 hours',
  'client_lifetime 1 day', 'workers 1', 'shutdown_lifetime 0 seconds', 'pinger_enable off', `max_filedescriptors ${Math.min(65_536, fileLimit('self'))}`,
];

/** The reference of all ratios where nobody looks into TLS. */
export const squid: Peer = {
  name: 'squid', program: { name: 'squid', flag: '-v', install: 'apt-get install squid' }, tunnels: true, keepsAlive: true, intercepts: false, note: 'no cache, no access log, everything allowed',
  start: (place) => launch(place, 'squid', (port) => {
    const { folder } = place;
    const file = join(folder, 'squid.conf');
    writeFileSync(file, [`http_port 127.0.0.1:${port}`, ...squidSettings(folder), ''].join('\n'));
    // Its service name must be its own where another Squid runs.
    return ['-N', '-n', `b${process.pid}x${port}`, '-f', file];
  }),
};
