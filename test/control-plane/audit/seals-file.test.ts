import test from 'ava';
import { appendFile, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { signSeal } from '../../../contracts/seal.ts';
import { SealsFile } from '../../../control-plane/audit/seals-file.ts';
import { signerOf } from '../../helpers/chain.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const signer = signerOf('sallyport.example/test', 1);
const sealOf = (size: number) => signSeal({ origin: signer.name, size, root: new Uint8Array(32).fill(size), incarnation: 'one', at: 1000 + size }, signer);

test('the last whole seal is read back, whatever a crash left after it', async (t) => {
  const path = join(await temporaryFolder(t), 'seals.jsonl');
  const file = new SealsFile(path);
  t.is(await file.last(), undefined);
  await file.append(sealOf(1));
  await file.append(sealOf(2));
  t.like(await file.last(), { size: 2 });
  t.is((await stat(path)).mode & 0o777, 0o600);
  await appendFile(path, JSON.stringify(sealOf(3)).slice(0, 100));
  t.like(await file.last(), { size: 2 });
  await file.append(sealOf(4));
  t.like(await file.last(), { size: 4 });
  const lines = (await readFile(path, 'utf8')).split('\n');
  t.is(lines.length, 5, 'two, half a one, four, and the end');
});

test('only the end of a long file is read', async (t) => {
  const path = join(await temporaryFolder(t), 'seals.jsonl');
  await appendFile(path, `${JSON.stringify(sealOf(9))}\n`.repeat(1000));
  const file = new SealsFile(path);
  await file.append(sealOf(10));
  t.like(await file.last(), { size: 10 });
});
