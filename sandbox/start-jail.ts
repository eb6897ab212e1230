import { systemClock, type Clock } from '../contracts/clock.ts';
import { parseJailSpec, type Jail, type JailHooks, type JailSpecInput } from '../contracts/jail.ts';
import { allDefences } from './launch/defences.ts';
import { launchJail } from './launch/launch-jail.ts';

/**
 * Starts an agent in a jail with every defence. Throws `jail_spec` (what is asked for is wrong), `jail_unavailable` (this host
 * cannot) or `missing_tool`, and then nothing is left behind. It must be called from the main thread, and the caller has to bring
 * the connections of `hooks.onConnection` to a proxy: the jail judges none.
 */
export function startJail(input: JailSpecInput, hooks: JailHooks, clock: Clock = systemClock): Promise<Jail> {
  return Promise.resolve().then(() => launchJail(parseJailSpec(input), hooks, clock, allDefences));
}
