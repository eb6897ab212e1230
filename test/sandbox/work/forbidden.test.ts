import test from 'ava';
import { whyForbidden } from '../../../sandbox/work/forbidden.ts';

const places = { homes: ['/home/alice', '/root'], keepOut: ['/var/lib/agents/data'], installation: '/srv/tools/sallyport' };

const table: readonly (readonly [string, RegExp | undefined])[] = [
  ['/', /contains/],
  ['/etc', /belongs to the system/],
  ['/etc/ssl', /lies in \/etc/],
  ['/usr/local/share', /lies in \/usr/],
  ['/proc/self', /lies in \/proc/],
  ['/run/user/1001/x', /lies in \/run/],
  ['/home', /shared by the whole system/],
  ['/tmp', /shared by the whole system/],
  ['/var', /contains|shared/],
  ['/home/alice', /whole home folder/],
  ['/root', /shared|home/],
  ['/home/alice/project', undefined],
  ['/root/project', undefined],
  ['/home/alicex', undefined],
  ['/tmp/x', undefined],
  ['/srv/tools', /Sallyport's own code/],
  ['/srv/tools/sallyport', /Sallyport's own code/],
  ['/srv/tools/sallyport-work', undefined],
  ['/var/lib/agents/data', /must stay out/],
  ['/var/lib/agents/data/below', /must stay out/],
  ['/var/lib/agents', /must stay out/],
  ['/var/lib/agents/other', undefined],
  ['/usrx', undefined],
];

for (const [folder, reason] of table) {
  test(`${folder} is ${reason === undefined ? 'fine' : `refused (${reason.source})`}`, (t) => {
    const told = whyForbidden(folder, places);
    if (reason === undefined) t.is(told, undefined);
    else t.regex(told ?? '', reason);
  });
}
