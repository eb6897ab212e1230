import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch } from './launch.ts';
import type { Peer } from './peer.ts';
import { squidSettings } from './squid.ts';

const generator = '/usr/lib/squid/security_file_certgen';

/** The reference where TLS is looked into: Squid that reads the ClientHello, then ends TLS with a leaf of its own and verifies the origin. */
export const bump: Peer = {
  name: 'ssl-bump', program: { name: 'squid', flag: '-v', install: 'apt-get install squid-openssl' }, tunnels: true, keepsAlive: true, intercepts: true,
  note: 'Squid with ssl-bump: leaves kept in memory and on disk, HTTP/1.1 on both sides',
  start: (place) => launch(place, 'squid', (port) => {
    const { folder, origins } = place;
    const [key, certificate, both] = ['ca.key', 'ca.pem', 'both.pem'].map((name) => join(folder, name)) as [string, string, string];
    execFileSync('openssl', [
      'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', certificate, '-days', '2', '-subj', '/CN=bench', '-addext', 'keyUsage=critical,keyCertSign',
    ], { stdio: 'ignore' });
    writeFileSync(both, Buffer.concat([key, certificate].map((file) => execFileSync('cat', [file]))));
    const store = join(folder, 'leaves');
    execFileSync(generator, ['-c', '-s', store, '-M', '16MB'], { stdio: 'ignore' });
    // Squid gives up root before it reads them.
    if (process.getuid?.() === 0) execFileSync('chown', ['-R', 'proxy:proxy', store]);
    chmodSync(both, 0o644);
    const file = join(folder, 'squid.conf');
    writeFileSync(file, [
      `http_port 127.0.0.1:${port} ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=16MB tls-cert=${both}`,
      `sslcrtd_program ${generator} -s ${store} -M 16MB`, 'sslcrtd_children 2 startup=1 idle=1', 'acl step1 at_step SslBump1', 'ssl_bump peek step1', 'ssl_bump bump all',
      `tls_outgoing_options cafile=${origins.tls.certificate}`, ...squidSettings(folder), '',
    ].join('\n'));
    return ['-N', '-n', `b${process.pid}x${port}`, '-f', file];
  }),
};
