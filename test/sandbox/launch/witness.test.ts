import test from 'ava';
import { allDefences } from '../../../sandbox/launch/defences.ts';
import { faultsIn, isWitness, type Witness } from '../../../sandbox/launch/witness.ts';
import type { WorkFolder } from '../../../sandbox/work/folder.ts';

const none = '0000000000000000';
const good: Witness = {
  kind: 'listening', work: { device: '10', inode: '20' },
  namespaces: { user: 'user:[2]', pid: 'pid:[2]', net: 'net:[2]', mnt: 'mnt:[2]', ipc: 'ipc:[2]', uts: 'uts:[2]' },
  capabilities: [none, none, none, none, none], no_new_privileges: '1', seccomp: '2', uid: '7\t7\t7\t7', gid: '8\t8\t8\t8', interfaces: ['lo'],
};
const expected = {
  work: { device: 10n, inode: 20n } as WorkFolder, identity: { uid: 7, gid: 8, dropped: false }, defences: allDefences,
  namespaces: { user: 'user:[1]', pid: 'pid:[1]', net: 'net:[1]', mnt: 'mnt:[1]', ipc: 'ipc:[1]', uts: 'uts:[1]' },
};

test('a jail that is as it must be has no faults', (t) => {
  t.deepEqual(faultsIn(good, expected), []);
});

const faults: readonly (readonly [Partial<Witness>, RegExp])[] = [
  [{ work: { device: '11', inode: '20' } }, /exchanged/],
  [{ work: { device: '10', inode: '21' } }, /exchanged/],
  ...Object.keys(good.namespaces).map((name) => [{ namespaces: { ...good.namespaces, [name]: `${name}:[1]` } }, new RegExp(`host's ${name} namespace`)] as const),
  [{ namespaces: {} }, /namespace/],
  [{ capabilities: [none, none, '0000000000000400', none, none] }, /capabilities/],
  [{ capabilities: [] }, /capabilities/],
  [{ no_new_privileges: '0' }, /privileges/],
  [{ seccomp: '0' }, /filter/],
  [{ uid: '7\t0\t7\t7' }, /uid/],
  [{ gid: '0\t0\t0\t0' }, /gid/],
  [{ interfaces: ['lo', 'eth0'] }, /eth0/],
];

for (const [change, told] of faults) {
  test(`seen from inside: ${JSON.stringify(change)}`, (t) => {
    t.regex(faultsIn({ ...good, ...change }, expected).join('; '), told);
  });
}

test('only the message of the boot script is believed to be one', (t) => {
  t.true(isWitness(good));
  for (const message of [undefined, null, 'listening', {}, { kind: 'listening' }, { ...good, capabilities: '0' }]) t.false(isWitness(message));
});
