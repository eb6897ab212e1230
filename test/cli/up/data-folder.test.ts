import test from 'ava';
import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepareDataFolder } from '../../../cli/up/data-folder.ts';
import { takeFolderLock } from '../../../cli/up/folder-lock.ts';
import { SallyportError } from '../../../contracts/errors.ts';
import { startProcess } from '../../helpers/process.ts';
import { needs } from '../../helpers/needs.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

test('a missing folder is made, for its owner alone', async (t) => {
  const folder = join(await temporaryFolder(t), 'a', 'b');
  prepareDataFolder(folder);
  t.is(statSync(folder).mode & 0o777, 0o700);
  prepareDataFolder(folder);
});

const unfit: readonly [what: string, make: (base: string) => string, reason: RegExp][] = [
  ['one that others can read', (base) => { mkdirSync(join(base, 'd')); chmodSync(join(base, 'd'), 0o755); return join(base, 'd'); }, /Others can reach into .*mode 0755/],
  ['one with other files', (base) => { mkdirSync(join(base, 'd'), { mode: 0o700 }); writeFileSync(join(base, 'd', 'thesis.tex'), ''); return join(base, 'd'); }, /holds other files/],
  ['a file', (base) => { writeFileSync(join(base, 'd'), ''); return join(base, 'd'); }, /a file is in the way/],
  ['a link', (base) => { mkdirSync(join(base, 'e'), { mode: 0o700 }); symlinkSync(join(base, 'e'), join(base, 'd')); return join(base, 'd'); }, /is not a folder/],
  ['one below a file', (base) => { writeFileSync(join(base, 'd'), ''); return join(base, 'd', 'e'); }, /a file is in the way/],
  ['one where nothing can be made', () => '/proc/sallyport/data', /no folder can be made there/],
  ['a path too long for sockets', (base) => join(base, 'x'.repeat(90)), /too long for the sockets/],
];
for (const [what, make, reason] of unfit) {
  test(`refused as data folder: ${what}`, async (t) => {
    const folder = make(await temporaryFolder(t));
    const error = t.throws(() => prepareDataFolder(folder), { instanceOf: SallyportError });
    t.is(error?.code, 'data_folder');
    t.regex(error?.message ?? '', reason);
  });
}

needs('root')('refused as data folder: one of somebody else', async (t) => {
  const folder = await temporaryFolder(t);
  chownSync(folder, 12_345, 12_345);
  t.regex(t.throws(() => prepareDataFolder(folder)).message, /belongs to uid 12345/);
});

test('one process has the folder; it is free again when released, and after kill -9', async (t) => {
  const folder = await temporaryFolder(t);
  const lock = takeFolderLock(folder);
  t.not(lock, undefined);
  const script = `
    import { takeFolderLock } from ${JSON.stringify(new URL('../../../cli/up/folder-lock.ts', import.meta.url).href)};
    // Kept: a database that nobody refers to is closed with the next collection of garbage, and its lock is gone.
    globalThis.lock = takeFolderLock(${JSON.stringify(folder)});
    console.log(globalThis.lock === undefined ? 'refused' : 'taken');
    setInterval(() => {}, 1000);`;
  const start = (): ReturnType<typeof startProcess> => startProcess(t, process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script]);
  const other = start();
  await other.line(/^refused$/);
  lock?.release();
  const next = start();
  await next.line(/^taken$/);
  t.is(takeFolderLock(folder), undefined);
  next.kill('SIGKILL');
  await next.exit();
  const again = takeFolderLock(folder);
  t.not(again, undefined);
  again?.release();
});
