import test from 'ava';
import { PermitSpending } from '../../../proxy/enforce/permit-spending.ts';
import type { Outcome } from '../../../proxy/enforce/permit.ts';
import { Stop } from '../../../proxy/enforce/stop.ts';
import type { RunSpending } from '../../../proxy/enforce/spending.ts';

const over: Outcome = {
  kind: 'failed', code: 'client_gone', status: undefined, response_headers: [], address: undefined, bytes_out: 30, bytes_in: 0, first_byte_ms: undefined, duration_ms: 1,
};

function setUp() {
  const held = { requests: 0, bytes_out: 100, bytes_in: 100 };
  const run = {
    take(meter: keyof typeof held, units: number) {
      const taken = Math.min(units, held[meter]);
      held[meter] -= taken;
      return taken;
    },
    giveBack(meter: keyof typeof held, units: number) { held[meter] += units; },
    more: () => Promise.resolve(undefined),
  } as unknown as RunSpending;
  return { held, spending: new PermitSpending(run, new Stop()) };
}

test('units cannot be minted by giving back more than was taken', (t) => {
  const { held, spending } = setUp();
  t.is(spending.take('bytes_out', 40), 40);
  spending.giveBack('bytes_out', 1000);
  t.is(held.bytes_out, 100);
});

test('after the settlement nothing is taken or given back any more', (t) => {
  const { held, spending } = setUp();
  t.is(spending.take('bytes_out', 50), 50);
  t.is(spending.settle(over), 0);
  t.is(held.bytes_out, 70);
  spending.giveBack('bytes_out', 50);
  t.is(held.bytes_out, 70);
  t.is(spending.take('bytes_out', 10), 0);
  t.is(held.bytes_out, 70);
});

test('who asks for more after the settlement is refused: units that nobody gets would be asked for without end', async (t) => {
  const { spending } = setUp();
  t.true(await spending.more('bytes_out', 10));
  spending.settle(over);
  t.false(await spending.more('bytes_out', 10));
});
