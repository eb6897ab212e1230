import test from 'ava';
import { chooseIdentity, dedicatedId, type HostAccounts, type Identity } from '../../sandbox/identity.ts';

const everyId = '         0          0 4294967295\n';
const passwd = 'root:x:0:0:root:/root:/bin/bash\nalice:x:1001:1002:Alice:/home/alice:/bin/sh\n# comment\nbad\nwheel:x:1003:0::/:/bin/sh\n';
const asRoot: HostAccounts = { launcher: { uid: 0, gid: 0 }, uidMap: everyId, gidMap: everyId, passwd };

const chosen: readonly { readonly title: string; readonly host?: Partial<HostAccounts>; readonly owner: { uid: number; gid: number }; readonly is: Identity }[] = [
  { title: 'an ordinary user stays who it is', host: { launcher: { uid: 1001, gid: 1002 } }, owner: { uid: 0, gid: 0 }, is: { uid: 1001, gid: 1002, dropped: false } },
  { title: "root becomes the folder's owner, in the owner's own group", owner: { uid: 1001, gid: 998 }, is: { uid: 1001, gid: 1002, dropped: true } },
  { title: 'an owner without an account keeps the group of the folder', owner: { uid: 5000, gid: 5001 }, is: { uid: 5000, gid: 5001, dropped: true } },
  { title: "root's group is nobody's", owner: { uid: 1003, gid: 0 }, is: { uid: 1003, gid: dedicatedId, dropped: true } },
  { title: 'an owner without an account, in the group of root', owner: { uid: 5000, gid: 0 }, is: { uid: 5000, gid: dedicatedId, dropped: true } },
  { title: "root's own folder is worked in by the uid kept for it", owner: { uid: 0, gid: 0 }, is: { uid: dedicatedId, gid: dedicatedId, dropped: true } },
  { title: 'a container that maps the usual 65536', host: { uidMap: '0 100000 65536\n', gidMap: '0 100000 65536\n' }, owner: { uid: 0, gid: 0 }, is: { uid: dedicatedId, gid: dedicatedId, dropped: true } },
  { title: 'the uid may have an account of our name', host: { passwd: `${passwd}sallyport:x:${dedicatedId}:1::/:/bin/false\n` }, owner: { uid: 0, gid: 0 }, is: { uid: dedicatedId, gid: dedicatedId, dropped: true } },
];

for (const { title, host, owner, is } of chosen) test(title, (t) => t.deepEqual(chooseIdentity({ ...asRoot, ...host }, owner), is));

const refused: readonly { readonly title: string; readonly host: Partial<HostAccounts> }[] = [
  { title: 'a user namespace that maps root alone', host: { uidMap: '0 1000 1\n', gidMap: '0 1000 1\n' } },
  { title: 'a user namespace that maps the uid and not the gid', host: { gidMap: '0 1000 1\n' } },
  { title: "somebody else's account under the uid", host: { passwd: `${passwd}mallory:x:${dedicatedId}:1::/:/bin/sh\n` } },
];

for (const { title, host } of refused) {
  test(`an agent never runs as root: refused with ${title}`, (t) => {
    const error = t.throws(() => chooseIdentity({ ...asRoot, ...host }, { uid: 0, gid: 0 }), { code: 'jail_unavailable' });
    t.truthy((error as unknown as { extras: { next_steps: string[] } }).extras.next_steps[0]);
  });
}
