import test from 'ava';
import { ConnectionCaps } from '../../../proxy/accept/caps.ts';
import { acceptLimits } from '../../../proxy/accept/limits.ts';
import type { Source } from '../../../proxy/exchange.ts';

const tcp = (remote: string): Source => ({ kind: 'tcp', remote });
const run = (run_id: string): Source => ({ kind: 'run', run_id });

test('one address that opens connection after connection leaves room for jails and other addresses', (t) => {
  const caps = new ConnectionCaps({ ...acceptLimits, connections: 10, connections_per_address: 7, connections_per_run: 2 });
  for (let open = 0; open < 7; open++) t.is(caps.enter(tcp('192.0.2.1')), undefined);
  t.is(caps.enter(tcp('192.0.2.1')), 'rate_limited');
  t.is(caps.enter(run('run_1')), undefined);
  t.is(caps.enter(run('run_1')), undefined);
  t.is(caps.enter(run('run_1')), 'rate_limited');
  t.is(caps.enter(tcp('192.0.2.2')), undefined);
  t.is(caps.enter(tcp('192.0.2.3')), 'overloaded');
  caps.leave(tcp('192.0.2.1'));
  t.is(caps.enter(tcp('192.0.2.1')), undefined);
  t.is(caps.enter(tcp('192.0.2.1')), 'overloaded');
});

test('by default one address cannot have all', (t) => {
  t.true(acceptLimits.connections_per_address < acceptLimits.connections);
});
