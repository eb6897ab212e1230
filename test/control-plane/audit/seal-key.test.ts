import test from 'ava';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { formatVerifierKey, parseVerifierKey } from '../../../contracts/signed-note.ts';
import { loadSealKey } from '../../../control-plane/audit/seal-key.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

test('the sealing key is made once, kept private, and its public half is what auditors pin', async (t) => {
  const folder = join(await temporaryFolder(t), 'keys');
  const first = await loadSealKey(folder, undefined, randomBytes);
  t.is((await stat(join(folder, 'seal.key'))).mode & 0o777, 0o600);
  const text = await readFile(join(folder, 'seal.pub'), 'utf8');
  t.is(text, `${formatVerifierKey(first)}\n`);
  const second = await loadSealKey(folder, undefined, randomBytes);
  t.is(formatVerifierKey(second), formatVerifierKey(first));
  await rm(join(folder, 'seal.pub'));
  t.deepEqual((await loadSealKey(folder, first.name, randomBytes)).public_key, first.public_key);
  t.is(await readFile(join(folder, 'seal.pub'), 'utf8'), text, 'the public half is made again from the private one');
  const renamed = await loadSealKey(folder, 'sallyport.example/main', randomBytes);
  t.is(renamed.name, 'sallyport.example/main');
  t.is(parseVerifierKey((await readFile(join(folder, 'seal.pub'), 'utf8')).trim())?.name, 'sallyport.example/main');
});

test('a key that cannot be read is told in one sentence, and not replaced', async (t) => {
  const folder = join(await temporaryFolder(t), 'keys');
  await loadSealKey(folder, undefined, randomBytes);
  await writeFile(join(folder, 'seal.key'), 'nonsense');
  await t.throwsAsync(loadSealKey(folder, undefined, randomBytes), { code: 'data_folder', message: /seal\.key cannot be used/ });
  t.is(await readFile(join(folder, 'seal.key'), 'utf8'), 'nonsense');
});
