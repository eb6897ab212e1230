import test from 'ava';
import { addressesSpelled, hostsRefused, namesSpelled } from '../../corpora/host-spellings.ts';
import { targetsAccepted, targetsRefused } from '../../corpora/path-spellings.ts';
import { absoluteTargets } from '../../corpora/target-spellings.ts';
import type { FakeRun } from '../../helpers/fake-control-plane.ts';
import { fileLifetime } from '../../helpers/lifetime.ts';
import { head, loopback, RawClient, startLocalOrigin, startProxyWorker, type Answer, type LocalOrigin, type ProxyWorker } from '../../helpers/proxy-worker.ts';

/**
 * The corpora through a whole worker, judged by what the origin got. Every name resolves to loopback, where the origin is, so whatever is
 * looked up and dialled would arrive; `asked` holds every name that was looked up.
 */
const lifetime = fileLifetime();
const asked: string[] = [];
let worker: ProxyWorker;
let origin: LocalOrigin;

test.before('start an origin and a worker', async () => {
  origin = await startLocalOrigin(lifetime);
  worker = await startProxyWorker(lifetime, {
    ask: (host, family) => {
      if (family === 4) asked.push(host);
      return family === 4 ? Promise.resolve({ addresses: ['127.0.0.1'], ttlSeconds: 60 }) : Promise.reject(Object.assign(new Error('none'), { code: 'ENODATA' }));
    },
  });
});

/** On the wire a name in another script is sent as UTF-8. */
const wire = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
const isAscii = (text: string): boolean => /^\p{ASCII}*$/u.test(text);

async function runFor(hosts: readonly string[]): Promise<FakeRun> {
  const run = worker.control.createRun({ allow: hosts.map((host) => ({ host, ports: [origin.port], methods: ['GET'] })), policy: { allow_addresses: [...loopback.allow_addresses, '::1/128'] } });
  await worker.control.acknowledgedAll();
  return run;
}

async function send(text: string): Promise<Answer> {
  const client = new RawClient(worker);
  try {
    return await client.send(text).answer();
  } finally {
    client.socket.destroy();
  }
}

/** What the origin and the name servers saw of one request. */
async function effectOf(text: string): Promise<{ readonly answer: Answer; readonly seen: readonly string[]; readonly names: readonly string[] }> {
  const [requests, names] = [origin.requests.length, asked.length];
  const answer = await send(text);
  return { answer, seen: origin.requests.slice(requests).map(({ headers, url }) => `${headers.host} ${url}`), names: asked.slice(names) };
}

test.serial('every spelling of a name or address reaches its canonical self or nobody', async (t) => {
  const names = [...new Set(namesSpelled.map(([, host]) => host))].filter((host) => !host.endsWith('localhost'));
  const { authorization } = await runFor([...names, '127.0.0.1']);
  for (const [spelling, host] of [...namesSpelled, ...addressesSpelled]) {
    const authority = `${spelling}:${origin.port}`;
    const { answer, seen, names: looked } = await effectOf(head(`http://${wire(authority)}/x`, { authorization }));
    const bare = spelling.includes(':') && !spelling.startsWith('[');
    if (!isAscii(spelling) || bare) {
      // The parser of heads takes no byte above 127 in a target.
      t.is(answer.code, bare ? 'ambiguous_target' : 'bad_request', spelling);
    } else if (host === '127.0.0.1' || names.includes(host)) {
      t.deepEqual(seen, [`${host}:${origin.port} /x`], spelling);
      t.is(answer.status, 200, spelling);
      t.true(looked.every((name) => name === host), `${spelling}: ${looked.join()}`);
      continue;
    } else {
      t.is(answer.status, 403, spelling);
      t.is(answer.code?.startsWith('core.') ?? false, answer.code !== 'policy_denied', spelling);
    }
    t.deepEqual({ seen, looked }, { seen: [], looked: [] }, spelling);
  }
});

test.serial('the same in a CONNECT, and in the Host of what is inside', async (t) => {
  const { authorization } = await runFor(['site.example', 'api.site.example', '127.0.0.1', 'xn--mnchen-3ya.example', 'a_b.test']);
  for (const [spelling, host] of [['SITE.Example.', 'site.example'], ['API.Site.EXAMPLE', 'api.site.example'], ['0x7f.1', '127.0.0.1'], ['XN--MNCHEN-3YA.example', 'xn--mnchen-3ya.example'], ['a_b.test', 'a_b.test']] as const) {
    const client = new RawClient(worker);
    t.teardown(() => client.socket.destroy());
    t.is((await client.send(head(`${spelling}:${origin.port}`, { method: 'CONNECT', authorization })).answer()).status, 200, spelling);
    const before = origin.requests.length;
    t.is((await client.send(head('/y', { host: `${spelling}:${origin.port}` })).answer()).status, 200, spelling);
    t.deepEqual(origin.requests.slice(before).map(({ headers, url }) => `${headers.host} ${url}`), [`${host}:${origin.port} /y`]);
  }
});

test.serial('a host that has no canonical form is refused in every place, before anything is looked up', async (t) => {
  const { authorization } = await runFor(['site.test', 'site.example', 'a', 'b']);
  for (const [spelling] of hostsRefused) {
    const authority = wire(`${spelling}:${origin.port}`);
    // A space or a delimiter of URLs ends the host there; target-spellings.ts has those.
    if (/[/?# \p{Cc}]/u.test(spelling)) continue;
    for (const text of [head(`http://${authority}/`, { authorization, host: 'site.test' }), head(authority, { method: 'CONNECT', authorization }), head(`http://site.test:${origin.port}/`, { authorization, host: authority })]) {
      const { answer, seen, names } = await effectOf(text);
      t.is(answer.status, 400, spelling);
      // What is no character of a target at all is refused by the parser of heads already.
      t.true(answer.code === 'ambiguous_target' || answer.code === 'bad_request', `${spelling}: ${answer.code}`);
      t.deepEqual({ seen, names }, { seen: [], names: [] }, spelling);
    }
  }
});

test.serial('a whole target is read in one way', async (t) => {
  const { authorization } = await runFor(['site.test', '127.0.0.1']);
  const port = String(origin.port);
  for (const [target, expected] of absoluteTargets) {
    // Where the place itself is refused, `Host` names it too; elsewhere it names the one that may be reached.
    const host = 'code' in expected ? `site.test:${port}` : expected.host.replace('PORT', port);
    const { answer, seen } = await effectOf(head(target.replaceAll('PORT', port), { authorization, ...('code' in expected && /^(?:policy|core)/.test(expected.code) ? {} : { host }) }));
    if ('code' in expected) t.deepEqual({ code: answer.code, seen }, { code: expected.code, seen: [] }, target);
    else t.deepEqual(seen, [`${expected.host} ${expected.path}`.replaceAll('PORT', port)], target);
  }
});

test.serial('a path arrives byte for byte or not at all', async (t) => {
  const { authorization } = await runFor(['site.test']);
  const base = `http://site.test:${origin.port}`;
  for (const [target] of targetsAccepted) {
    const { answer, seen } = await effectOf(head(`${base}${target}`, { authorization }));
    // Policy looks at no more than 64 segments and 64 keys.
    t.deepEqual(seen, [`site.test:${origin.port} ${target}`], `${target}: ${answer.code}`);
  }
  for (const [target, code, canonical] of targetsRefused) {
    // What does not begin with a slash is another target altogether.
    if (!target.startsWith('/')) continue;
    const { answer, seen } = await effectOf(head(`${base}${wire(target)}`, { authorization, host: `site.test:${origin.port}` }));
    t.deepEqual(seen, [], target);
    t.is(answer.status, 400, target);
    if (/[# \p{Cc}]|[^\p{ASCII}]/u.test(target)) t.is(answer.code, 'bad_request', target);
    else t.is(answer.code, code, target);
    if (canonical !== undefined) t.deepEqual(answer.problem.next_steps?.filter((step) => step.startsWith('Send ')), [`Send ${JSON.stringify(canonical)} instead.`], target);
  }
});
