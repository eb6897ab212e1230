import test from 'ava';
import { findHierarchies } from '../../../sandbox/limits/hierarchies.ts';

const v1 = (id: number, controllers: string, root: string = '/', mount: string = `/sys/fs/cgroup/${controllers}`): string => `${id} 31 0:${id} ${root} ${mount} rw,relatime shared:1 - cgroup cgroup rw,${controllers}`;
const v2 = (mount: string, root: string = '/'): string => `50 31 0:50 ${root} ${mount} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate`;
const other = '23 1 8:1 / / rw - ext4 /dev/root rw';

const table: readonly { readonly title: string; readonly mounts: readonly string[]; readonly groups: string; readonly v2?: readonly [string, string]; readonly v1: Readonly<Record<string, string>> }[] = [
  { title: 'v2 alone, in a scope of systemd', mounts: [other, v2('/sys/fs/cgroup')], groups: '0::/user.slice/user-1000.slice/session-3.scope\n', v2: ['/sys/fs/cgroup', '/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope'], v1: {} },
  { title: 'v1 and v2 side by side', mounts: [v1(33, 'cpu,cpuacct'), v1(35, 'memory'), v1(39, 'pids'), v2('/sys/fs/cgroup/unified')], groups: '8:pids:/\n4:memory:/a/b\n1:cpu,cpuacct:/\n0::/\n', v2: ['/sys/fs/cgroup/unified', '/sys/fs/cgroup/unified'], v1: { cpu: '/sys/fs/cgroup/cpu,cpuacct', memory: '/sys/fs/cgroup/memory/a/b', pids: '/sys/fs/cgroup/pids' } },
  { title: "a container that sees its own group as the root of the mount", mounts: [v1(35, 'memory', '/docker/abc')], groups: '4:memory:/docker/abc/x\n', v1: { memory: '/sys/fs/cgroup/memory/x' } },
  { title: 'a path from outside of the namespace', mounts: [v2('/sys/fs/cgroup')], groups: '0::/../other\n', v2: ['/sys/fs/cgroup', '/sys/fs/cgroup'], v1: {} },
  { title: 'a mount point with a blank', mounts: [v1(35, 'memory', '/', '/mnt/my\\040groups')], groups: '4:memory:/\n', v1: { memory: '/mnt/my groups' } },
  { title: 'none', mounts: [other], groups: '', v1: {} },
];

for (const { title, mounts, groups, ...expected } of table) {
  test(`control groups: ${title}`, (t) => {
    const found = findHierarchies(`${mounts.join('\n')}\n`, groups);
    t.deepEqual(found.v2, expected.v2 === undefined ? undefined : { mount: expected.v2[0], own: expected.v2[1] });
    t.deepEqual(Object.fromEntries(found.v1), expected.v1);
  });
}
