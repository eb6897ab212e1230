import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, listening, loopback } from '../machine/ports.ts';
import { smallBytes, type Origin, type Stage } from '../stage.ts';

/** nginx in one process, which answers 1 KiB from its configuration: the cheapest origin there is. */
export async function startNginx(stage: Stage, program: string): Promise<Origin> {
  const port = await freePort();
  const folder = join(stage.folder, 'nginx');
  mkdirSync(folder);
  const bodies = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(' ');
  writeFileSync(join(folder, 'nginx.conf'), `
master_process off; daemon off; pid ${folder}/pid; error_log ${folder}/error.log warn;
events { worker_connections 19000; multi_accept on; }
http {
  ${bodies}
  access_log off; server_tokens off; default_type text/plain; tcp_nodelay on;
  keepalive_requests 1000000000; keepalive_timeout 1h; client_header_timeout 1h;
  server { listen ${loopback}:${port} backlog=4096; location / { return 200 "${'x'.repeat(smallBytes)}"; } }
}
`);
  const child = stage.children.start('nginx', program, ['-e', join(folder, 'error.log'), '-c', join(folder, 'nginx.conf'), '-p', folder], { cores: stage.cores.load, log: join(folder, 'log') });
  await listening(port, child);
  return { port, pids: [child.pid] };
}
