import { startCanary } from '../helpers/canary.ts';
import { startInstallation } from '../helpers/installation.ts';
import { needs } from '../helpers/needs.ts';
import { startOrigin } from '../helpers/origin.ts';
import { addresses, dnsZone } from '../helpers/world.ts';

const test = needs('world', 'jail');

test('--observe lets a run through, tells what would have been refused and by which flag it would not, and holds back what core denies', async (t) => {
  const zone = dnsZone(t);
  const site = await startOrigin(t);
  const canary = await startCanary(t, addresses.metadata, 80);
  const host = await zone.set('site', [site.address]);
  const installation = await startInstallation(t);
  const { code, stdout, stderr, report } = await installation.run(['--observe'], ['sh', '-c', `curl -s http://${host}/page; curl -s -o /dev/null http://${addresses.metadata}/`]);
  t.is(code, 0, stderr);
  t.is(stdout, 'hello\n');
  t.is(site.requests.length, 1);
  t.is(canary.contacts.length, 0);
  t.like(report.egress[0], { effect: 'allow', observed: 'deny', status: 200 });
  t.like(report.egress[1], { effect: 'deny', code: 'core.metadata_address' });
  t.regex(stderr, new RegExp(`would be {2}denied 1 request\\n[^]*to allow it: --allow ${host.replaceAll('.', '\\.')}:80:GET`));
});
