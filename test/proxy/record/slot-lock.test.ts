import test from 'ava';
import { join } from 'node:path';
import { lockSlot } from '../../../proxy/record/slot-lock.ts';
import { startProcess } from '../../helpers/process.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

test('a slot that is held is not given again until it is released', async (t) => {
  const file = join(await temporaryFolder(t), '0.lock');
  const lock = await lockSlot(file);
  const error = await t.throwsAsync(lockSlot(file, 60));
  t.is((error as { code?: string }).code, 'data_folder_in_use');
  const waiting = lockSlot(file);
  lock.release();
  (await waiting).release();
});

test('a worker that is killed leaves its slot', async (t) => {
  const file = join(await temporaryFolder(t), '0.lock');
  const script = `import { lockSlot } from ${JSON.stringify(new URL('../../../proxy/record/slot-lock.ts', import.meta.url))}; await lockSlot(${JSON.stringify(file)}); console.log('held'); setInterval(() => {}, 1000);`;
  const other = startProcess(t, process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script]);
  await other.line(/held/);
  await t.throwsAsync(lockSlot(file, 60));
  other.kill('SIGKILL');
  (await lockSlot(file)).release();
  t.pass();
});
