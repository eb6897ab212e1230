import test from 'ava';
import * as fc from 'fast-check';
import { OpenExchange, OpenExchanges } from '../../../proxy/record/open-exchanges.ts';

test('what is open is told in order of its beginning, whatever ended meanwhile, and an end that is told twice is one', (t) => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 20 })), { maxLength: 80 }), fc.nat({ max: 80 }), (steps, through) => {
    const list = new OpenExchanges();
    const all: OpenExchange[] = [];
    let open: OpenExchange[] = [];
    for (const [index, [begins, which]] of steps.entries()) {
      if (begins || all.length === 0) {
        const exchange = new OpenExchange(`egr_${index}`, 'run_1');
        list.opened(exchange, index);
        all.push(exchange);
        open.push(exchange);
      } else {
        const exchange = all[which % all.length]!;
        list.ended(exchange);
        open = open.filter((other) => other !== exchange);
      }
    }
    t.deepEqual(list.begunThrough(through).map(({ egress_id }) => egress_id), open.filter(({ sequence }) => sequence <= through).map(({ egress_id }) => egress_id));
  }));
});
