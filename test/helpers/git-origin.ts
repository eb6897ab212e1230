import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Lifetime } from './lifetime.ts';
import { temporaryFolder } from './temporary.ts';

/** A bare repository `site.git` with one commit, served below `base` by git's own smart-HTTP program: `respond` is for `startOrigin`. */
export async function gitOrigin(lifetime: Lifetime, base: string = ''): Promise<{ readonly respond: (request: IncomingMessage, response: ServerResponse) => void }> {
  const folder = await temporaryFolder(lifetime);
  const work = join(folder, 'work');
  const git = (...args: string[]): void => {
    const tried = spawnSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@site.test', '-c', 'init.defaultBranch=main', ...args], { encoding: 'utf8' });
    if (tried.status !== 0) throw new Error(`git ${args.join(' ')}: ${tried.stderr}`);
  };
  git('init', '-q', work);
  writeFileSync(join(work, 'README'), 'from the origin\n');
  git('-C', work, 'add', '.');
  git('-C', work, 'commit', '-qm', 'first');
  git('clone', '-q', '--bare', work, join(folder, 'site.git'));
  // Nobody is asked who they are.
  git('-C', join(folder, 'site.git'), 'config', 'http.receivepack', 'true');

  return {
    respond(request, response) {
      const url = new URL(request.url ?? '/', 'http://site.test');
      const cgi = spawn('git', ['http-backend'], {
        env: {
          PATH: process.env['PATH'],
          GIT_PROJECT_ROOT: folder,
          GIT_HTTP_EXPORT_ALL: '1',
          REQUEST_METHOD: request.method ?? '',
          PATH_INFO: url.pathname.slice(base.length),
          QUERY_STRING: url.search.slice(1),
          CONTENT_TYPE: request.headers['content-type'] ?? '',
          HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
          GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
        },
      });
      request.pipe(cgi.stdin);
      cgi.stdin.on('error', () => { /* It may have read enough. */ });
      const chunks: Buffer[] = [];
      cgi.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
      cgi.on('close', () => {
        const output = Buffer.concat(chunks);
        const end = output.indexOf('\r\n\r\n');
        const fields = output.subarray(0, end).toString('latin1').split('\r\n').map((line) => line.split(/:\s*/, 2) as [string, string]);
        const status = fields.find(([name]) => name.toLowerCase() === 'status')?.[1];
        response.writeHead(status === undefined ? 200 : Number.parseInt(status, 10), Object.fromEntries(fields.filter(([name]) => name.toLowerCase() !== 'status')));
        response.end(output.subarray(end + 4));
      });
    },
  };
}
