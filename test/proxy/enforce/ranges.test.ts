import test, { type ExecutionContext } from 'ava';
import { ask, startLocalOrigin, startProxyWorker, type LocalOrigin, type ProxyWorker } from '../../helpers/proxy-worker.ts';
import { until } from '../../helpers/wait.ts';

const names = {
  'site.test': ['127.0.0.1'], 'other.test': ['127.0.0.1'], 'mixed.test': ['127.0.0.1', '::1'], 'private.test': ['127.0.0.1', '10.0.0.1'], 'meta.test': ['169.254.169.254'], 'nat64.test': ['64:ff9b::a9fe:a9fe'],
  'nat64-private.test': ['64:ff9b::10.0.0.1'], 'mapped.test': ['::ffff:127.0.0.1'],
};

async function setUp(t: ExecutionContext): Promise<{ readonly origin: LocalOrigin; readonly worker: ProxyWorker }> {
  return { origin: await startLocalOrigin(t), worker: await startProxyWorker(t, { names }) };
}

/** What the run's own ranges open, as the code of the refusal or `200`; the origin is on 127.0.0.1 alone. */
const table: readonly (readonly [host: string, ranges: readonly string[], answer: string])[] = [
  ['site.test', [], 'core.non_public_address'],
  ['site.test', ['127.0.0.0/8'], '200'],
  ['site.test', ['127.0.0.1/32'], '200'],
  ['site.test', ['10.0.0.0/8', '127.0.0.2/32'], 'core.non_public_address'],
  ['site.test', ['::/0'], 'core.non_public_address'],
  ['127.0.0.1', ['127.0.0.0/8'], '200'],
  ['mixed.test', ['127.0.0.0/8'], 'core.non_public_address'],
  ['mixed.test', ['127.0.0.0/8', '::1/128'], '200'],
  ['private.test', ['127.0.0.0/8'], 'core.non_public_address'],
  ['[::ffff:127.0.0.1]', ['127.0.0.0/8'], 'core.non_public_address'],
  ['[::ffff:127.0.0.1]', ['::ffff:127.0.0.0/104'], '200'],
  ['mapped.test', ['127.0.0.0/8'], 'core.non_public_address'],
  ['mapped.test', ['::ffff:0:0/96'], '200'],
  ['meta.test', ['169.254.169.254/32', '0.0.0.0/0'], 'core.metadata_address'],
  ['169.254.169.254', ['0.0.0.0/0'], 'core.metadata_address'],
  ['[::ffff:169.254.169.254]', ['::/0', '::ffff:0:0/96'], 'core.metadata_address'],
  ['nat64.test', ['::/0', '64:ff9b::/96'], 'core.metadata_address'],
  ['nat64-private.test', [], 'core.non_public_address'],
  ['[fd00:ec2::254]', ['fd00::/8'], 'core.metadata_address'],
];

test('a run\'s ranges open what they hold, in each spelling for itself, and never what serves credentials', async (t) => {
  const { origin, worker } = await setUp(t);
  for (const [host, ranges, answer] of table) {
    const title = `${host} ${ranges.join()}`;
    const before = origin.requests.length;
    const run = worker.control.createRun({ allow: [{ host: host.replace(/^\[(.*)\]$/, (_, inside: string) => new URL(`http://[${inside}]/`).hostname.slice(1, -1)), ports: [origin.port], methods: ['GET'] }], policy: { allow_addresses: ranges } });
    await worker.control.acknowledgedAll();
    const { status, code } = await ask(worker, `http://${host}:${origin.port}/`, { authorization: run.authorization });
    t.is(code ?? String(status), answer, title);
    t.is(origin.requests.length - before, answer === '200' ? 1 : 0, title);
  }
});

test('a profile\'s ranges are for its own hosts, and open neither metadata nor ourselves', async (t) => {
  const { origin, worker } = await setUp(t);
  const profile = { ports: [origin.port, worker.port], methods: ['GET'], path_prefixes: ['/'], passthrough: false, raw: false };
  await worker.control.publish((packs) => {
    packs['default'] = {
      hosts: { 'site.test': 'inside', 'meta.test': 'inside', 'other.test': 'outside', 'mapped.test': 'mapped' },
      profiles: { inside: { ...profile, addresses: ['127.0.0.0/8', '169.254.0.0/16'] }, outside: { ...profile, addresses: [] }, mapped: { ...profile, addresses: ['::ffff:127.0.0.0/104'] } },
    };
  });
  const run = worker.control.createRun();
  await worker.control.acknowledgedAll();
  const answers = await Promise.all(['site.test', 'mapped.test', 'other.test', 'meta.test'].map(async (host) => {
    const { status, code } = await ask(worker, `http://${host}:${origin.port}/`, { authorization: run.authorization });
    return code ?? status;
  }));
  t.deepEqual(answers, [200, 200, 'core.non_public_address', 'core.metadata_address']);
  t.is((await ask(worker, `http://site.test:${worker.port}/`, { authorization: run.authorization })).code, 'core.self_address');
  t.is((await ask(worker, `http://mapped.test:${worker.port}/`, { authorization: run.authorization })).code, 'core.self_address');
  t.is(origin.requests.length, 2);
});

test('what is dialled is the answer that was judged, and the next answer is judged again though a connection is open', async (t) => {
  const origin = await startLocalOrigin(t);
  let asked = 0;
  const worker = await startProxyWorker(t, {
    // The first answer is the origin's, every later one is inside: a name that rebinds between a check and a dial would show here.
    ask: (_host, family) => family === 4
      ? Promise.resolve({ addresses: [asked++ === 0 ? '127.0.0.1' : '10.0.0.1'], ttlSeconds: 0 })
      : Promise.reject(Object.assign(new Error('none'), { code: 'ENODATA' })),
  });
  const run = worker.control.createRun({ allow: [{ host: 'rebinds.test', ports: [origin.port], methods: ['GET'] }], policy: { allow_addresses: ['127.0.0.0/8'] } });
  await worker.control.acknowledgedAll();
  const get = async (): Promise<string> => {
    const { status, code } = await ask(worker, `http://rebinds.test:${origin.port}/`, { authorization: run.authorization });
    return code ?? String(status);
  };
  t.is(await get(), '200');
  t.is(asked, 1);
  let answer = '200';
  let passed = 1;
  await until('the answer of a second later', async () => {
    answer = await get();
    if (answer === '200') passed++;
    return answer === '200' ? undefined : answer;
  });
  t.is(answer, 'core.non_public_address');
  t.is(asked, 2);
  t.is(origin.requests.length, passed);
});
