import test from 'ava';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { walkTree, type WalkBounds } from '../../../sandbox/work/tree.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const endless: WalkBounds = { entries: 10_000, isOver: () => false };

async function walk(root: string, bounds: WalkBounds = endless): Promise<{ readonly isComplete: boolean; readonly paths: readonly string[] }> {
  const paths: string[] = [];
  const isComplete = await walkTree(root, bounds, ({ path }) => paths.push(path));
  return { isComplete, paths: paths.sort() };
}

test('everything below is visited, and links are not followed', async (t) => {
  const root = await temporaryFolder(t);
  const outside = await temporaryFolder(t);
  writeFileSync(join(outside, 'secret'), '');
  mkdirSync(join(root, 'a/b'), { recursive: true });
  writeFileSync(join(root, 'a/b/file'), '');
  symlinkSync(outside, join(root, 'a/link'));
  t.deepEqual(await walk(root), { isComplete: true, paths: ['a', 'a/b', 'a/b/file', 'a/link'] });
});

test('a folder that becomes a link between being seen and being entered is not entered', async (t) => {
  const root = await temporaryFolder(t);
  const outside = await temporaryFolder(t);
  writeFileSync(join(outside, 'secret'), '');
  mkdirSync(join(root, 'folder'));
  const paths: string[] = [];
  const isComplete = await walkTree(root, endless, ({ path }) => {
    paths.push(path);
    if (path !== 'folder') return;
    renameSync(join(root, 'folder'), join(root, 'moved'));
    symlinkSync(outside, join(root, 'folder'));
  });
  t.false(paths.includes('folder/secret'));
  t.false(isComplete);
});

test('a walk ends at its bounds, and says that it did', async (t) => {
  const root = await temporaryFolder(t);
  for (let index = 0; index < 500; index += 1) writeFileSync(join(root, String(index)), '');
  const few = await walk(root, { entries: 100, isOver: () => false });
  t.is(few.paths.length, 100);
  t.false(few.isComplete);
  const late = await walk(root, { entries: 10_000, isOver: () => true });
  t.true(late.paths.length < 500);
  t.false(late.isComplete);
  t.true((await walk(root)).isComplete);
});

test('folders within folders end at the deepest level that is entered', async (t) => {
  const root = await temporaryFolder(t);
  mkdirSync(join(root, ...Array.from({ length: 80 }, () => 'd')), { recursive: true });
  const { isComplete, paths } = await walk(root);
  t.false(isComplete);
  t.is(paths.length, 65);
});
