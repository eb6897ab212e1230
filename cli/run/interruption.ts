import type { Jail } from '../../contracts/jail.ts';

/** For an agent to save what it has. Milliseconds. */
const grace = 5000;
const handled = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface Interruption {
  /** The first signal that came. */
  signal(): NodeJS.Signals | undefined;
  /** The jail that signals are for from now on; one that came before it is passed on. */
  attach(jail: Jail): void;
  release(): void;
}

/** The first signal asks the agent to end, the second ends the jail. Installed before there is a run, so that none is left over. */
export function handleSignals(): Interruption {
  let first: NodeJS.Signals | undefined;
  let jail: Jail | undefined;
  const on = (signal: NodeJS.Signals): void => {
    if (first === undefined) {
      first = signal;
      void jail?.stop(grace);
    } else void jail?.kill();
  };
  for (const signal of handled) process.on(signal, on);
  return {
    signal: () => first,
    attach(started) {
      jail = started;
      if (first !== undefined) void started.kill();
    },
    release: () => { for (const signal of handled) process.off(signal, on); },
  };
}
