import test from 'ava';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { prepareWork } from '../../../sandbox/work/prepare.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

/** `real/project/data` is the data folder; `link` leads to `real`. */
async function folders(t: Parameters<typeof temporaryFolder>[0]) {
  const root = await temporaryFolder(t);
  await mkdir(join(root, 'real', 'project', 'data'), { recursive: true });
  await symlink(join(root, 'real'), join(root, 'link'));
  return { root, close: (folder: { close(): void }) => { t.teardown(() => folder.close()); } };
}

for (const [title, work, data] of [
  ['a data folder that is named by a link', 'real/project', 'link/project/data'],
  ['a work folder that is named by a link', 'link/project', 'real/project/data'],
  ['a work folder below a data folder that is named by a link', 'real/project/data', 'link/project'],
] as const) {
  test(`${title} stays out of the agent's reach`, async (t) => {
    const { root, close } = await folders(t);
    await t.throwsAsync(prepareWork({ work: join(root, work), give_work: false, keep_out: [join(root, data)] }, close), { code: 'jail_spec', message: /must stay out of the agent's reach/ });
  });
}

test('a data folder that does not exist yet keeps out nothing but itself', async (t) => {
  const { root, close } = await folders(t);
  await t.throwsAsync(prepareWork({ work: join(root, 'real/project'), give_work: false, keep_out: [join(root, 'real/project/absent')] }, close), { message: /must stay out/ });
});
