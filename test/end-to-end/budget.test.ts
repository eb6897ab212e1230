/** Never over, by the origin's count. */
import { startInstallation, type Installation } from '../helpers/installation.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';
import { startOrigin, type Origin } from '../helpers/origin.ts';
import { dnsZone } from '../helpers/world.ts';

const test = needs('world', 'jail');

let installation: Installation;
let site: Origin;
let host: string;
const large = Buffer.alloc(3 * 1024 * 1024, 'x');

const file = fileLifetime();
test.before(async () => {
  const zone = dnsZone(file);
  installation = await startInstallation(file);
  site = await startOrigin(file, {
    respond: (request, response) => {
      request.resume();
      if (request.url === '/large') response.end(large);
      else request.on('end', () => response.end('ok\n'));
    },
  });
  host = await zone.set('site', [site.address]);
});

const parallel = `
import concurrent.futures, urllib.request, urllib.error, collections, json
def one(i):
    try: return urllib.request.urlopen('http://HOST/%d' % i, timeout=60).status
    except urllib.error.HTTPError as error: return json.loads(error.read())['code']
with concurrent.futures.ThreadPoolExecutor(50) as pool:
    print(json.dumps(collections.Counter(map(str, pool.map(one, range(200))))))
print(one(999))
`;

test.serial('200 parallel requests with 100 left: exactly 100 reach the origin, the rest are told why, and the run goes on', async (t) => {
  const before = site.requests.length;
  const { code, stdout, stderr, report } = await installation.run(['--allow', `${host}:80:GET`, '--budget', 'requests=100'], ['python3', '-c', parallel.replaceAll('HOST', host)]);
  t.is(code, 0, stderr);
  const [counts = '', after] = stdout.trim().split('\n');
  t.deepEqual(JSON.parse(counts), { 200: 100, budget_exhausted: 100 });
  t.is(after, 'budget_exhausted');
  t.is(site.requests.length - before, 100);
  t.is(report.state, 'Done');
  t.deepEqual(report.budget['requests'], { limit: 100, used: 100 });
  t.is(report.egress.filter(({ effect }) => effect === 'allow').length, 100);
  t.is(report.egress.filter((egress) => egress.code === 'budget_exhausted').length, 101);
});

test.serial('A download is cut at the byte where bytes_in ends', async (t) => {
  const limit = 1_000_000;
  const { stdout, report } = await installation.run(['--allow', `${host}:80:GET`, '--budget', `bytes_in=${limit}`], ['sh', '-c', `curl -s http://${host}/large | wc -c`]);
  const received = Number(stdout.trim());
  t.true(received > limit - 1000 && received < limit, `the agent got ${received} bytes`);
  t.is(report.budget['bytes_in']?.used, limit);
  t.is(report.egress[0]?.bytes_in, limit);
  t.is(report.egress[0]?.code, 'budget_exhausted');
});

test.serial('An upload is cut where bytes_out ends: the origin never gets a byte more', async (t) => {
  const limit = 500_000;
  const seenBefore = site.connections.length;
  const { report } = await installation.run(
    ['--allow', `${host}:80:POST`, '--budget', `bytes_out=${limit}`],
    ['sh', '-c', `head -c 2000000 /dev/zero | curl -s -m 20 -H 'Expect:' --data-binary @- http://${host}/upload`],
  );
  const received = site.connections.slice(seenBefore).reduce((sum, { bytesIn }) => sum + bytesIn, 0);
  t.true(received <= limit, `the origin got ${received} bytes`);
  t.true((report.budget['bytes_out']?.used ?? 0) <= limit);
  t.is(report.egress[0]?.code, 'budget_exhausted');
});

test.serial('When the wall clock runs out the jail is killed and the exit code is 77', async (t) => {
  const { code, stderr, report } = await installation.run(['--budget', 'wall_clock=2s'], ['sleep', '60']);
  t.is(code, 77, stderr);
  t.is(report.state, 'Failed');
});
