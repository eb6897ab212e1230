import test from 'ava';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SegmentReader } from '../../../proxy/record/segment-reader.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

test('segments of any size are read whole, one after the other', async (t) => {
  const folder = await temporaryFolder(t);
  const reader = new SegmentReader();
  for (const size of [0, 1, 1_000_000, 7, 6 * 1024 * 1024, 300_000]) {
    const path = join(folder, String(size));
    const bytes = Buffer.alloc(size, `${size} `);
    await writeFile(path, bytes);
    t.true((await reader.read(path)).equals(bytes), String(size));
  }
  await t.throwsAsync(reader.read(join(folder, 'gone')), { code: 'ENOENT' });
});

test('memory is used again, unless it is forgotten or was for a very large one', async (t) => {
  const path = join(await temporaryFolder(t), 'segment');
  const reader = new SegmentReader();
  const memoryFor = async (size: number): Promise<ArrayBufferLike> => {
    await writeFile(path, Buffer.alloc(size));
    return (await reader.read(path)).buffer;
  };
  const first = await memoryFor(1_000_000);
  t.is(await memoryFor(900_000), first);
  t.not(await memoryFor(6 * 1024 * 1024), first);
  t.is(await memoryFor(10), first, 'the large one was not kept');
  reader.forget();
  t.not(await memoryFor(10), first);
});
