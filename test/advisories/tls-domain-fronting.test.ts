/**
 * Domain fronting inside TLS that a proxy looks into: the CONNECT and the name in TLS (SNI) are an allowed host's, and the `Host` field
 * or `:authority`, which is all that a front of many sites goes by, is another's. Proxies that judge one of the three and pass on another
 * let an agent speak with whoever shares the front (peers.md).
 *
 * Here all three are one host and port on each request, in whatever spelling, and what the origin is told is the canonical one. The run
 * may use both sites, and both are one origin, so nothing but that rule stands between them.
 */
import test from 'ava';
import { constants } from 'node:http2';
import { head } from '../helpers/proxy-worker.ts';
import { askHttp2, fileTlsScene, insideHttp1, insideHttp2, lookedInto, openTunnel, recordedRefusals, tryTls } from '../helpers/tls-scene.ts';

const scene = fileTlsScene({ names: { 'xn--bcher-kva.test': ['127.0.0.1'] } });
const hosts = ['site.test', 'other.test', '127.0.0.1'];

interface Row {
  readonly connect: string;
  /** Undefined: none. */
  readonly sni: string | undefined;
  readonly host: string;
}

const rows: Row[] = [];
for (const connect of hosts) for (const sni of ['site.test', 'other.test', undefined]) for (const host of hosts) rows.push({ connect, sni, host });

for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
  test.serial(`of all combinations of CONNECT, SNI and host, ${version} passes those alone in which they are equal`, async (t) => {
    const { site } = scene();
    const run = await lookedInto(scene(), { hosts });
    let refused = 0;
    for (const { connect, sni, host } of rows) {
      const title = `CONNECT ${connect}, SNI ${sni ?? 'none'}, host ${host}`;
      const before = { requests: site.requests.length, opened: site.opened };
      const authority = `${connect}:${site.port}`;
      const named = `${host}:${site.port}`;
      const options = { to: authority, servername: sni ?? '', ...(sni === undefined && { checkServerIdentity: () => undefined }) };
      if (sni !== undefined && sni !== connect) {
        const { secure, problem } = await tryTls(scene(), await openTunnel(scene(), run, authority), { ...options, ALPNProtocols: [version === 'HTTP/2' ? 'h2' : 'http/1.1'] });
        secure.destroy();
        t.truthy(problem, title);
        refused++;
        t.is(site.opened, before.opened, title);
        continue;
      }
      let status: number | undefined;
      let code: string | undefined;
      if (version === 'HTTP/2') ({ status, code } = await askHttp2(await insideHttp2(t, scene(), run, options), { ':authority': named }));
      else ({ status, code } = await (await insideHttp1(t, scene(), run, options)).send(head('/', { host: named })).answer());
      if (connect === host) {
        t.is(status, 200, title);
        t.is(site.requests.length, before.requests + 1, title);
        const seen = site.requests.at(-1)!;
        t.deepEqual([seen.authority, seen.handshake.servername], [named, connect === '127.0.0.1' ? false : connect], title);
      } else {
        t.deepEqual([status, code], [403, 'core.host_mismatch'], title);
        refused++;
        t.is(site.opened, before.opened, title);
      }
    }
    t.deepEqual(await recordedRefusals(scene(), run, refused), Array.from({ length: refused }, () => 'core.host_mismatch'));
  });
}

/** Other spellings of the host that the CONNECT named, and of others, in `Host`; `PORT` is the origin's. */
const spellings: readonly (readonly [host: string, code: string | undefined])[] = [
  ['SITE.Test:PORT', undefined],
  ['site.test.:PORT', undefined],
  ['site.test', 'core.host_mismatch'],
  ['site.test:443', 'core.host_mismatch'],
  ['site.test:80', 'core.host_mismatch'],
  ['www.site.test:PORT', 'core.host_mismatch'],
  ['localhost:PORT', 'core.host_mismatch'],
  ['2130706433:PORT', 'core.host_mismatch'],
  ['[::ffff:127.0.0.1]:PORT', 'core.host_mismatch'],
  ['sallyport.internal', 'core.host_mismatch'],
  ['xn--bcher-kva.test:PORT', 'core.host_mismatch'],
  ['b\xfccher.test:PORT', 'ambiguous_target'],
  ['site.test..:PORT', 'ambiguous_target'],
  ['site.test:0PORT', 'ambiguous_target'],
  ['site.test:', 'ambiguous_target'],
  ['%73ite.test:PORT', 'ambiguous_target'],
  ['other.test@site.test:PORT', 'ambiguous_target'],
  ['site.test:PORT@other.test', 'ambiguous_target'],
  ['site.test:PORT, other.test:PORT', 'ambiguous_target'],
  ['site.test:PORT other.test', 'ambiguous_target'],
  ['https://site.test:PORT', 'ambiguous_target'],
  ['[site.test]:PORT', 'ambiguous_target'],
  ['', 'ambiguous_target'],
];

const unheard = /^$|[@ ,/\xfc]/;

for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
  test.serial(`a spelling of the host in ${version} is the same host to the origin, or refused by its name`, async (t) => {
    const { site } = scene();
    const run = await lookedInto(scene(), { hosts });
    const canonical = `site.test:${site.port}`;
    const told: unknown[] = [];
    for (const [spelling, code] of spellings) {
      const before = site.requests.length;
      const host = spelling.replaceAll('PORT', String(site.port));
      const answer = version === 'HTTP/2'
        ? await askHttp2(await insideHttp2(t, scene(), run), { ':authority': host })
        : await (await insideHttp1(t, scene(), run)).send(head('/', { host })).answer();
      if (code === undefined) {
        t.is(answer.status, 200, spelling);
        t.is(site.requests.at(-1)?.authority, canonical, spelling);
        continue;
      }
      t.is(site.requests.length, before, spelling);
      // What no authority can hold nghttp2 takes for no request at all: the stream ends, and nobody of ours hears of it.
      if (version === 'HTTP/2' && unheard.test(host)) {
        t.like(answer, { status: undefined, reset: constants.NGHTTP2_PROTOCOL_ERROR }, spelling);
        continue;
      }
      t.is(answer.code, code, spelling);
      told.push(code);
    }
    t.deepEqual(await recordedRefusals(scene(), run, told.length), told);
  });
}

test.serial('a spelling of the host in CONNECT and in TLS is the same host in the certificate and at the origin', async (t) => {
  const { site } = scene();
  const run = await lookedInto(scene(), { hosts });
  for (const [connect, servername, host, expected] of [
    ['SITE.TEST', 'site.test', 'site.test', 'site.test'], ['site.test.', 'SITE.Test', 'site.test.', 'site.test'], ['Site.Test', 'site.test', 'SITE.TEST', 'site.test'],
    ['2130706433', '', '127.0.0.1', '127.0.0.1'], ['0x7f.1', '', '127.1', '127.0.0.1'], ['[::ffff:127.0.0.1]', '', '127.0.0.1', undefined],
  ] as const) {
    const before = site.requests.length;
    const client = await insideHttp1(t, scene(), run, { to: `${connect}:${site.port}`, servername, ...(servername === '' && { checkServerIdentity: () => undefined }) });
    const { status } = await client.send(head('/', { host: `${host}:${site.port}` })).answer();
    t.is(status, expected === undefined ? 403 : 200, connect);
    t.is(site.requests.length, expected === undefined ? before : before + 1, connect);
    if (expected !== undefined) t.deepEqual([site.requests.at(-1)?.authority, site.requests.at(-1)?.handshake.servername], [`${expected}:${site.port}`, expected === '127.0.0.1' ? false : expected]);
  }
});

for (const [title, options] of [['in a jail', { channel: 'jail' }], ['that is only observed', { policy: { mode: 'observe' } }]] as const) {
  test.serial(`a run ${title} fares no better`, async (t) => {
    const { site } = scene();
    const run = await lookedInto(scene(), { hosts, ...options });
    const named = `other.test:${site.port}`;
    const before = site.requests.length;
    t.is((await (await insideHttp1(t, scene(), run)).send(head('/', { host: named })).answer()).code, 'core.host_mismatch');
    t.is((await askHttp2(await insideHttp2(t, scene(), run), { ':authority': named })).code, 'core.host_mismatch');
    t.truthy((await tryTls(scene(), await openTunnel(scene(), run), { servername: 'other.test' })).problem);
    t.deepEqual(await recordedRefusals(scene(), run, 3), ['core.host_mismatch', 'core.host_mismatch', 'core.host_mismatch']);
    t.is(site.requests.length, before);
    t.is((await askHttp2(await insideHttp2(t, scene(), run))).status, 200, 'and as well');
  });
}
