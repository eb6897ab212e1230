import test, { type ExecutionContext } from 'ava';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { IngestAnswer } from '../../../contracts/data-plane.ts';
import { SallyportError, type ErrorCode } from '../../../contracts/errors.ts';
import { ControlPlaneRefusal } from '../../../proxy/control-plane/client.ts';
import { Shipping, type Shippable } from '../../../proxy/record/shipping.ts';
import { testClock, type TestClock } from '../../helpers/clock.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { until } from '../../helpers/wait.ts';

interface Setup {
  readonly shipping: Shipping;
  readonly clock: TestClock;
  readonly sent: string[];
  readonly deleted: (readonly [string, number])[];
  readonly troubles: (SallyportError | undefined)[];
  /** Throws for a segment, by its content, as long as it is set. */
  fail: ((content: string) => void) | undefined;
  segment(journal: string, sequence: number): Promise<Shippable>;
  exists(journal: string, sequence: number): Promise<boolean>;
}

async function setUp(t: ExecutionContext, maxBytes: number = 1000): Promise<Setup> {
  const folder = await temporaryFolder(t);
  const clock = testClock();
  const path = (journal: string, sequence: number): string => join(folder, journal, String(sequence));
  const setup: Setup = {
    shipping: new Shipping({
      clock, maxBytes,
      async send(bytes): Promise<IngestAnswer> {
        const content = bytes.toString();
        setup.fail?.(content);
        setup.sent.push(content);
        return { journal_id: '', sequence: 0, status: 'ingested' };
      },
      onTrouble: (problem) => setup.troubles.push(problem),
      beforeDeletion: async (journal, through) => { setup.deleted.push([journal, through]); },
    }),
    clock, sent: [], deleted: [], troubles: [], fail: undefined,
    async segment(journal_id, sequence) {
      await mkdir(join(folder, journal_id), { recursive: true });
      await writeFile(path(journal_id, sequence), `${journal_id}${sequence}`);
      return { journal_id, sequence, path: path(journal_id, sequence), bytes: 100 };
    },
    exists: (journal, sequence) => access(path(journal, sequence)).then(() => true, () => false),
  };
  t.teardown(() => setup.shipping.end());
  return setup;
}

const refusal = (code: ErrorCode, expected?: number): ControlPlaneRefusal => new ControlPlaneRefusal({ code, ...(expected !== undefined && { expected }) } as never, 409);

test('older journals go first, each in order, and a seal deletes what was taken', async (t) => {
  const { shipping, segment, sent, exists, deleted } = await setUp(t);
  const old = [await segment('old', 3), await segment('old', 4)];
  const live = [await segment('live', 0), await segment('live', 1)];
  shipping.addJournal('old', old[0]!.path.replace(/\/3$/, ''), false, old);
  shipping.addJournal('live', live[0]!.path.replace(/\/0$/, ''), true, []);
  for (const one of live) shipping.add(one);
  await shipping.shipped('live', 1);
  t.deepEqual(sent, ['old3', 'old4', 'live0', 'live1']);
  await shipping.sealed('live', 0);
  t.deepEqual([await exists('live', 0), await exists('live', 1)], [false, true]);
  t.deepEqual(deleted, [['live', 0]]);
  await shipping.sealed('old', 4);
  t.false(await exists('old', 4));
});

test('a segment that was not taken survives any seal', async (t) => {
  const setup = await setUp(t);
  setup.fail = () => { throw new SallyportError('control_plane_unreachable', 'away'); };
  setup.shipping.addJournal('live', '', true, [await setup.segment('live', 0)]);
  await until('the trouble', () => setup.troubles.length > 0);
  await setup.shipping.sealed('live', 5);
  t.true(await setup.exists('live', 0));
});

test('while the control plane is away it is tried again, later and later, and at once when it is back', async (t) => {
  const setup = await setUp(t);
  let tries = 0;
  setup.fail = () => {
    tries++;
    throw new SallyportError('control_plane_unreachable', 'away');
  };
  setup.shipping.addJournal('live', '', true, [await setup.segment('live', 0)]);
  await until('the first try', () => tries === 1 && setup.clock.waiting === 1);
  setup.clock.advance(100);
  await until('the second try', () => tries === 2 && setup.clock.waiting === 1);
  setup.clock.advance(100);
  t.is(tries, 2);
  setup.fail = undefined;
  setup.shipping.wake();
  await setup.shipping.shipped('live', 0);
  t.deepEqual(setup.sent, ['live0']);
  t.is(setup.troubles.at(-1), undefined);
});

test('a gap is filled from where the control plane says', async (t) => {
  const setup = await setUp(t);
  let restored = false;
  setup.fail = (content) => {
    if (content === 'live2' && !restored) {
      restored = true;
      throw refusal('journal_gap', 1);
    }
  };
  setup.shipping.addJournal('live', '', true, [await setup.segment('live', 0), await setup.segment('live', 1), await setup.segment('live', 2)]);
  await setup.shipping.shipped('live', 2);
  t.deepEqual(setup.sent, ['live0', 'live1', 'live1', 'live2']);
});

for (const [code, expected] of [['journal_forked', undefined], ['journal_gap', 0], ['invalid_request', undefined]] as const) {
  test(`a journal that is refused for good stops, stays on disk, and nothing new begins in it: ${code}`, async (t) => {
    const setup = await setUp(t);
    setup.fail = (content) => { if (content.startsWith('live')) throw refusal(code, expected); };
    setup.shipping.addJournal('live', '/live', true, [await setup.segment('live', 4)]);
    await until('the refusal', () => setup.shipping.refusal('live') !== undefined);
    t.is(setup.shipping.refusal('live')?.code, 'journal_unavailable');
    setup.shipping.addJournal('other', '', true, [await setup.segment('other', 0)]);
    await setup.shipping.shipped('other', 0);
    t.true(await setup.exists('live', 4));
    t.is(setup.shipping.refusal('other'), undefined);
  });
}

test('above its bound of bytes nothing new begins, until a seal makes room', async (t) => {
  const { shipping, segment } = await setUp(t, 250);
  shipping.addJournal('live', '', true, []);
  for (const sequence of [0, 1, 2]) shipping.add(await segment('live', sequence));
  t.is(shipping.refusal('live')?.code, 'journal_unavailable');
  await shipping.shipped('live', 2);
  t.is(shipping.refusal('live')?.code, 'journal_unavailable', 'what no seal covers has to stay');
  await shipping.sealed('live', 0);
  t.is(shipping.refusal('live'), undefined);
});

test('seals that come faster than files are deleted lose no segment', async (t) => {
  const setup = await setUp(t);
  const { shipping, segment, exists, deleted, sent } = setup;
  shipping.addJournal('live', '', true, []);
  for (const sequence of [0, 1, 2, 3]) shipping.add(await segment('live', sequence));
  await shipping.shipped('live', 3);
  // As after each start of the control plane, which names all that is sealed and then goes on.
  const seals = [shipping.sealed('live', 0), shipping.sealed('live', 1), shipping.sealed('live', 1)];
  for (const sequence of [4, 5]) shipping.add(await segment('live', sequence));
  await Promise.all(seals);
  await shipping.shipped('live', 5);
  t.deepEqual(sent, [0, 1, 2, 3, 4, 5].map((sequence) => `live${sequence}`));
  t.deepEqual(deleted, [['live', 0], ['live', 1]]);
  t.deepEqual(await Promise.all([0, 1, 2, 3, 4, 5].map((sequence) => exists('live', sequence))), [false, false, true, true, true, true]);
  await shipping.sealed('live', 5);
  t.false(await exists('live', 5));
});
