import test from 'ava';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { adoptJournals } from '../../../cli/up/adopt-journals.ts';
import { newId } from '../../../contracts/ids.ts';
import { ask, loopback, startLocalOrigin, startProxyWorker } from '../../helpers/proxy-worker.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

test('journals of slots that no worker has any more go to the first, others stay', async (t) => {
  const folder = await temporaryFolder(t);
  await adoptJournals(folder, 1);
  const names = await Promise.all(['0', '1', '2', '12'].map(async (slot) => {
    const name = newId('journal', Date.now());
    await mkdir(join(folder, 'journal', slot, name), { recursive: true });
    await writeFile(join(folder, 'journal', slot, 'proxy-id'), 'x');
    return name;
  }));
  await adoptJournals(folder, 2);
  const held = async (slot: string): Promise<string[]> => (await readdir(join(folder, 'journal', slot))).filter((name) => name !== 'proxy-id').sort();
  t.deepEqual(await held('0'), [names[0]!, names[2]!, names[3]!].sort());
  t.deepEqual(await held('1'), [names[1]!]);
  t.deepEqual(await held('2'), []);
});

test('what a worker of a larger start could not ship is shipped by the first one of the next', async (t) => {
  const origin = await startLocalOrigin(t);
  const before = await startProxyWorker(t, { names: { 'site.test': ['127.0.0.1'] }, configuration: { slot: 3 } });
  const run = before.control.createRun({ allow: [{ host: 'site.test', ports: [origin.port], methods: ['GET'] }], policy: loopback, limits: { requests: 10 } });
  await before.control.acknowledgedAll();
  before.control.fail = (path) => { if (path.startsWith('/data-plane/events')) throw new Error('away'); };
  t.is((await ask(before, `http://site.test:${origin.port}/`, { authorization: run.authorization })).status, 200);
  await before.stop();
  before.control.fail = undefined;
  t.is(before.control.of(run).length, 0);

  await adoptJournals(before.folder, 1);
  const after = await startProxyWorker(t, {}, before);
  await after.control.ingested('what the other one recorded', () => after.control.of(run, 'egress.decided').length === 1);
  t.is(after.control.used(run, 'requests'), 1);
});
