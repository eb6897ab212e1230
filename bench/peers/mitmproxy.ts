import { launch } from './launch.ts';
import type { Peer } from './peer.ts';

export const mitmproxy: Peer = {
  name: 'mitmproxy', program: { name: 'mitmdump', flag: '--version', install: 'pip install mitmproxy' }, tunnels: true, keepsAlive: true, intercepts: true,
  note: 'reads the HTTP inside a tunnel, too; holds an event stream back until 1 MiB of it has come',
  start: (place) => launch(place, 'mitmdump', (port) => [
    '-q', '--listen-host', '127.0.0.1', '-p', String(port), '--set', `confdir=${place.folder}`, '--set', 'flow_detail=0', '--set', 'connection_strategy=lazy', '--set', 'stream_large_bodies=1m',
    '--set', `ssl_verify_upstream_trusted_ca=${place.origins.tls.certificate}`,
  ]),
};
