import type { Clock } from '../../contracts/clock.ts';
import { SallyportError } from '../../contracts/errors.ts';

/** For a control plane that was killed to be there again. Milliseconds. */
const patience = 15_000;
const firstPause = 50;
const longestPause = 1000;

/** Repeats a call that may be made twice while the control plane or its database is away; other failures are told at once. */
export async function persist<T>(call: () => Promise<T>, clock: Clock, given: { up(): boolean; readonly patienceMs?: number }): Promise<T> {
  const end = clock.monotonic() + (given.patienceMs ?? patience);
  let pause = firstPause;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const away = error instanceof SallyportError && (error.code === 'control_plane_unreachable' || error.code === 'database_unavailable' || error.code === 'overloaded');
      if (!away || !given.up() || clock.monotonic() > end) throw error;
    }
    await new Promise<void>((resolve) => { clock.setTimeout(resolve, pause); });
    pause = Math.min(pause * 2, longestPause);
  }
}
