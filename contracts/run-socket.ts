/**
 * Name of a jailed run's socket below `<data>/s/`, for the worker in that slot: each serves one of its own, and whoever carries a jail's
 * connections takes any of them. With one worker it is the run's short id alone.
 */
export function runSocketName(shortId: string, slot: number): string {
  return slot === 0 ? shortId : `${shortId}.${slot}`;
}

export function isRunSocketName(name: string, shortId: string): boolean {
  return name === shortId || name.startsWith(`${shortId}.`);
}
