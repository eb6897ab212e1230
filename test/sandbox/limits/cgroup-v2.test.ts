import test from 'ava';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepareParent } from '../../../sandbox/limits/cgroup-v2.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

/** A folder with the files of a group; it answers like no kernel, but shows what would be written where. */
function pretend(folder: string, controllers: string, enabled: string = ''): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'cgroup.controllers'), controllers);
  writeFileSync(join(folder, 'cgroup.subtree_control'), enabled);
  writeFileSync(join(folder, 'cgroup.procs'), '');
  return folder;
}

test("root makes its groups below the hierarchy's root, and turns on what is not on yet", async (t) => {
  const mount = pretend(await temporaryFolder(t), 'cpu memory pids', 'memory');
  t.is(prepareParent({ mount, own: join(mount, 'somewhere') }, true, ['memory', 'pids']), mount);
  t.is(readFileSync(join(mount, 'cgroup.subtree_control'), 'utf8'), '+pids');
});

test("in a container root keeps to its own group: the root of the mount is some group of the host's", async (t) => {
  const mount = pretend(await temporaryFolder(t), 'memory pids');
  writeFileSync(join(mount, 'cgroup.type'), 'domain\n');
  const own = pretend(join(mount, 'own'), 'memory pids');
  t.is(prepareParent({ mount, own }, true, ['memory', 'pids']), own);
});

test('a delegated group is used, and from the leaf that an earlier jail put us in, the group above it', async (t) => {
  const mount = pretend(await temporaryFolder(t), 'memory pids');
  const own = pretend(join(mount, 'unit.scope'), 'memory pids');
  t.is(prepareParent({ mount, own }, false, ['memory', 'pids']), own);
  t.is(prepareParent({ mount, own: join(own, 'sallyport-launcher') }, false, ['memory', 'pids']), own);
});

test('a group that was not given the controllers is no use', async (t) => {
  const mount = pretend(await temporaryFolder(t), 'memory pids');
  const own = pretend(join(mount, 'unit.scope'), 'pids');
  t.throws(() => prepareParent({ mount, own }, false, ['memory', 'pids']), { message: /not given memory/ });
  t.false(existsSync(join(own, 'sallyport-launcher')));
});
