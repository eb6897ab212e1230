import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Handler } from '../../../../proxy/accept/connection-options.ts';
import { catalogueRefusal } from '../../../../proxy/refusal.ts';
import { makeCertificate } from '../../../helpers/certificate.ts';
import { needs } from '../../../helpers/needs.ts';
import { temporaryFolder } from '../../../helpers/temporary.ts';
import { answer, answerHead, answerLarge, bodyOf, startHttp2 } from './world.ts';

const test = needs('command nghttp', 'command h2load');

/** What it said on both its channels, whatever it ended with. */
function run(command: string, ...argv: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(command, argv, { timeout: 120_000, maxBuffer: 64_000_000 }, (_error, stdout, stderr) => { resolve(stdout + stderr); });
  });
}

const handler: Handler = async (exchange) => {
  const { head, transfer } = exchange;
  switch (head.target) {
    case '/refuse': return exchange.refuse(catalogueRefusal('policy_denied', 'No.'));
    case '/large': return await answerLarge(exchange, 1_000_000);
    case '/early': {
      transfer.interim(answerHead(103, ['link', '</a>; rel=preload']));
      return answer(exchange, 'hinted', [], ['x-sum', '6']);
    }
    case '/cut':
      transfer.begin(answerHead(200, []));
      transfer.write(Buffer.from('half'));
      transfer.flush();
      return transfer.abort();
    default: {
      const { body, trailers } = head.framing.kind === 'none' ? { body: Buffer.alloc(0), trailers: [] } : await bodyOf(exchange);
      return answer(exchange, JSON.stringify({ method: head.method, target: head.target, framing: head.framing, headers: head.headers, length: body.length, trailers }));
    }
  }
};

for (const kind of ['clear text', 'TLS'] as const) {
  test.serial(`nghttp over ${kind}: requests, uploads, padding, CONTINUATION, trailers, 100, early hints, refusals and cuts`, async (t) => {
    const certificate = kind === 'TLS' ? await makeCertificate(t, 'DNS:api.test', 'IP:127.0.0.1') : undefined;
    const world = await startHttp2(t, handler, { ...(certificate !== undefined && { certificate }) });
    const url = `${kind === 'TLS' ? 'https' : 'http'}://127.0.0.1:${world.port}`;
    const folder = await temporaryFolder(t);
    const file = join(folder, 'body');
    await writeFile(file, Buffer.alloc(300_000, 'y'));

    const plain = await run('nghttp', '-y', '-v', '-H', 'x-one: 1', `${url}/a?b`);
    t.regex(plain, /:status: 200/);
    t.true(plain.includes('"x-one","1"'), plain);
    t.regex(plain, /SETTINGS_MAX_CONCURRENT_STREAMS\(0x03\):128/);
    const upload = await run('nghttp', '-y', '-d', file, '-b', '64', '--continuation', '--trailer', 'x-sum: 5', `${url}/up`);
    t.true(upload.includes('"length":300000,"trailers":["x-sum","5"]'), upload);
    t.true(upload.includes('"framing":{"kind":"length","bytes":300000}'), upload);
    const unsized = await run('nghttp', '-y', '-d', file, '--no-content-length', `${url}/up`);
    t.true(unsized.includes('"framing":{"kind":"chunked"}') && unsized.includes('"length":300000'), unsized);
    const waited = await run('nghttp', '-y', '-v', '-d', file, '--expect-continue', `${url}/up`);
    t.regex(waited, /:status: 100[^]*:status: 200/);
    const large = await run('nghttp', '-y', '-w', '10', '-m', '20', '--stat', '-n', `${url}/large`);
    t.is(large.match(/ 200 +\S+ \/large/g)?.length, 20, large);
    const early = await run('nghttp', '-y', '-v', `${url}/early`);
    t.regex(early, /:status: 103[^]*:status: 200[^]*hinted[^]*x-sum: 6/);
    const refused = await run('nghttp', '-y', '-v', '-d', file, `${url}/refuse`);
    t.regex(refused, /:status: 403[^]*"code": "policy_denied"/);
    const cut = await run('nghttp', '-y', '-v', `${url}/cut`);
    t.regex(cut, /RST_STREAM[^]*INTERNAL_ERROR/);
  });

  test.serial(`h2load over ${kind}: many streams on few connections, none of them lost`, async (t) => {
    const certificate = kind === 'TLS' ? await makeCertificate(t, 'DNS:api.test', 'IP:127.0.0.1') : undefined;
    const world = await startHttp2(t, handler, { ...(certificate !== undefined && { certificate }) });
    const url = `${kind === 'TLS' ? 'https' : 'http'}://127.0.0.1:${world.port}`;
    const folder = await temporaryFolder(t);
    const file = join(folder, 'body');
    await writeFile(file, Buffer.alloc(20_000, 'y'));
    for (const argv of [['-n', '4000', '-c', '4', '-m', '100', `${url}/`], ['-n', '1000', '-c', '2', '-m', '128', '-d', file, `${url}/up`], ['-n', '40', '-c', '2', '-m', '20', `${url}/large`]]) {
      const said = await run('h2load', ...argv);
      t.regex(said, /, 0 failed, 0 errored, 0 timeout/, said);
      t.regex(said, new RegExp(`status codes: ${argv[1]} 2xx`));
      t.log(said.match(/finished in .*/)?.[0]);
    }
    const refused = await run('h2load', '-n', '2000', '-c', '2', '-m', '100', `${url}/refuse`);
    t.regex(refused, /status codes: 0 2xx, 0 3xx, 2000 4xx/, refused);
  });
}
