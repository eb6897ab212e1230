import { ConnectionCaps } from '../proxy/accept/caps.ts';
import { acceptLimits } from '../proxy/accept/limits.ts';
import { createListener } from '../proxy/accept/listener.ts';
import { makePermit, type Spending } from '../proxy/enforce/permit.ts';
import { Stop } from '../proxy/enforce/stop.ts';
import { createForwarder } from '../proxy/forward/forwarder.ts';
import { forwardLimits } from '../proxy/forward/limits.ts';
import { Sweep } from '../proxy/wire/sweep.ts';
import { systemClock as clock } from '../contracts/clock.ts';

/** The bare wire: `accept/` and `forward/` with a permit for everything. The product has no such thing. */
const sweep = new Sweep(clock);
const { forward } = createForwarder({ clock, sweep, limits: forwardLimits });
const unlimited: Spending = { take: (_meter, units) => units, giveBack: () => { /* Nothing is counted. */ }, more: () => Promise.resolve(true) };
const stop = new Stop();

const listener = await createListener({ kind: 'tcp' }, { listen: { host: '127.0.0.1', port: 0 }, clock, caps: new ConnectionCaps(acceptLimits), sweep, limits: acceptLimits }, async (exchange) => {
  const { target, method } = exchange.head;
  const tunnel = exchange.form.kind === 'connect';
  const slash = target.indexOf('/', 7);
  const authority = tunnel ? target : target.slice(7, slash);
  await forward(makePermit({
    scheme: 'http', egress_id: 'egr_bench', run_id: 'run_bench', kind: tunnel ? 'tunnel' : 'http', host: 'origin.test', port: Number(authority.split(':')[1] ?? 80), authority, method,
    target: tunnel ? target : target.slice(slash), raw: true, upgrade: undefined, addresses: [{ address: '127.0.0.1', family: 4, address_class: 'loopback' }], pool_key: authority,
    spending: unlimited, stop, stillValid: () => true, anotherTry: () => Promise.resolve(true),
  }), exchange);
});
console.log(JSON.stringify({ port: (listener.address as { readonly port: number }).port }));
