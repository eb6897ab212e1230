import test from 'ava';
import { fileURLToPath } from 'node:url';
import { SallyportError } from '../../../contracts/errors.ts';
import { packBundle } from '../../../engine/bundle.ts';
import { loadBundle } from '../../../engine/load-bundle.ts';
import { Policy } from '../../../proxy/decide/policy.ts';
import { testClock } from '../../helpers/clock.ts';
import { until } from '../../helpers/wait.ts';

const bundle = await loadBundle(fileURLToPath(new URL('../../../policies', import.meta.url)));
const packed = Buffer.from(packBundle(bundle));

function setUp(fetch: (revision: string) => Promise<Uint8Array>): { policy: Policy; clock: ReturnType<typeof testClock> } {
  const clock = testClock();
  return { clock, policy: new Policy({ clock, fetch, onReplaced: () => undefined, onSwapped: () => undefined }) };
}

test('without a policy nothing is decided', (t) => {
  const { policy } = setUp(() => Promise.reject(new Error('unused')));
  t.is(policy.unready()?.code, 'no_policy');
  t.is(t.throws(() => policy.decide({} as never), { instanceOf: SallyportError })?.code, 'no_policy');
});

test('a bundle that is not the one asked for, or is changed by a byte, changes nothing', async (t) => {
  const changed = Buffer.from(packed.toString().replace('"entrypoint":"sallyport/decision"', '"entrypoint":"sallyport/deciSion"'));
  const { policy } = setUp((revision) => Promise.resolve(revision === bundle.revision ? packed : revision === 'changed' ? changed : packed));
  await policy.load('another');
  t.is(policy.revision, '');
  await policy.load(bundle.revision);
  t.is(policy.revision, bundle.revision);
  await policy.load('changed');
  t.is(policy.revision, bundle.revision);
  t.is(policy.unready(), undefined);
});

test('while the control plane is away its bundle is asked for again', async (t) => {
  let tries = 0;
  const { policy, clock } = setUp(() => ++tries < 3 ? Promise.reject(new SallyportError('control_plane_unreachable', 'away')) : Promise.resolve(packed));
  const loading = policy.load(bundle.revision);
  for (const delay of [100, 200]) {
    await until('the retry to be due', () => clock.waiting === 1);
    clock.advance(delay);
  }
  await loading;
  t.is(policy.revision, bundle.revision);
});

test('a revision that is no longer wanted is not put in force', async (t) => {
  const gate = Promise.withResolvers<void>();
  const { policy } = setUp(async (revision) => {
    if (revision === bundle.revision) await gate.promise;
    else throw new SallyportError('not_found', 'none');
    return packed;
  });
  const loading = policy.load(bundle.revision);
  await policy.load('newer');
  gate.resolve();
  await loading;
  t.is(policy.revision, '');
});
