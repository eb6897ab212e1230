import test from 'ava';
import { chmodSync, linkSync, mkdirSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureWritable, openWorkFolder } from '../../../sandbox/work/folder.ts';
import { needs } from '../../helpers/needs.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const asRoot = needs('root');
const asUser = needs('no root');
const dropped = { uid: 64_333, gid: 64_333, dropped: true };

test('a folder is known by its real path, device and inode, also once it has another name', async (t) => {
  const parent = await temporaryFolder(t);
  mkdirSync(join(parent, 'real'));
  symlinkSync('real', join(parent, 'link'));
  const folder = openWorkFolder(join(parent, 'link'));
  t.teardown(() => folder.close());
  t.is(folder.path, join(parent, 'real'));
  t.is(Number(folder.inode), statSync(join(parent, 'real')).ino);
  renameSync(join(parent, 'real'), join(parent, 'moved'));
  t.is(statSync(`${folder.place}/.`).ino, Number(folder.inode));
});

test('what is missing, or no folder, is refused', async (t) => {
  const parent = await temporaryFolder(t);
  writeFileSync(join(parent, 'file'), '');
  t.throws(() => openWorkFolder(join(parent, 'missing')), { code: 'jail_spec', message: /does not exist/ });
  t.throws(() => openWorkFolder(join(parent, 'file')), { code: 'jail_spec', message: /not a folder/ });
});

asUser('a folder that we cannot write in is refused', async (t) => {
  const path = await temporaryFolder(t, 0o555);
  const folder = openWorkFolder(path);
  t.teardown(() => { folder.close(); chmodSync(path, 0o755); });
  await t.throwsAsync(ensureWritable(folder, { uid: process.getuid?.() ?? -1, gid: process.getgid?.() ?? -1, dropped: false }, false), { code: 'jail_spec', message: /cannot write/ });
});

asRoot("a folder of root's is refused with both ways out, unless it is given", async (t) => {
  const path = await temporaryFolder(t, 0o755);
  mkdirSync(join(path, 'inner'));
  writeFileSync(join(path, 'inner/file'), '');
  writeFileSync(join(path, 'tool'), '', { mode: 0o755 });
  chmodSync(join(path, 'tool'), 0o4755);
  const outside = join(await temporaryFolder(t), 'precious');
  writeFileSync(outside, '');
  linkSync(outside, join(path, 'second-name'));
  symlinkSync('/etc/passwd', join(path, 'link'));
  const folder = openWorkFolder(path);
  t.teardown(() => folder.close());
  const error = await t.throwsAsync(ensureWritable(folder, dropped, false), { code: 'jail_spec', message: /uid 64333/ });
  t.regex((error as unknown as { extras: { next_steps: string[] } }).extras.next_steps.join(' '), /--work DIR.*--give-work/);
  t.is(statSync(path).uid, 0);

  await ensureWritable(folder, dropped, true);
  for (const name of ['.', 'inner', 'inner/file', 'tool']) t.is(statSync(join(path, name)).uid, 64_333, name);
  t.is(statSync(join(path, 'tool')).mode & 0o7000, 0, 'set-id bits do not change hands');
  t.is(statSync(outside).uid, 0, 'another name of a file elsewhere');
  t.is(statSync('/etc/passwd').uid, 0);
  await t.notThrowsAsync(ensureWritable(folder, dropped, false));
});
