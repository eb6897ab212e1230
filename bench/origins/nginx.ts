import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, listening, loopback } from '../machine/ports.ts';
import { smallBytes, type Origins, type Stage } from '../stage.ts';

/** nginx in one process, which answers 1 KiB from its configuration: the cheapest origin there is; in clear text, and in TLS. */
export async function startNginx(stage: Stage, program: string): Promise<Pick<Origins, 'small' | 'tls'>> {
  const [port, tlsPort] = [await freePort(), await freePort()];
  const folder = join(stage.folder, 'nginx');
  mkdirSync(folder);
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', certificate, '-days', '2', '-subj', '/CN=origin', '-addext', 'subjectAltName=DNS:localhost',
  ], { stdio: 'ignore' });
  const bodies = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(' ');
  writeFileSync(join(folder, 'nginx.conf'), `
master_process off; daemon off; pid ${folder}/pid; error_log ${folder}/error.log warn;
events { worker_connections 19000; multi_accept on; }
http {
  ${bodies}
  access_log off; server_tokens off; default_type text/plain; tcp_nodelay on;
  keepalive_requests 1000000000; keepalive_timeout 1h; client_header_timeout 1h;
  server { listen ${loopback}:${port} backlog=4096; location / { return 200 "${'x'.repeat(smallBytes)}"; } }
  server {
    listen ${loopback}:${tlsPort} ssl http2 backlog=4096; ssl_certificate ${certificate}; ssl_certificate_key ${key}; ssl_protocols TLSv1.2 TLSv1.3;
    http2_max_requests 1000000000; http2_max_concurrent_streams 1000; location / { return 200 "${'x'.repeat(smallBytes)}"; }
  }
}
`);
  const child = stage.children.start('nginx', program, ['-e', join(folder, 'error.log'), '-c', join(folder, 'nginx.conf'), '-p', folder], { cores: stage.cores.load, log: join(folder, 'log') });
  await listening(port, child);
  return { small: { port, pids: [child.pid] }, tls: { port: tlsPort, pids: [], certificate } };
}
