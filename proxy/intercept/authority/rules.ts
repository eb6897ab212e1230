/** Who signs and who is trusted, at each instant. Pure; times are milliseconds since 1970. */

const hour = 3_600_000;
const day = 24 * hour;

export const leafLifeMs: number = 7 * day;
/** Clients' clocks may be behind ours: containers never are, machines elsewhere sometimes. */
export const leafBackdateMs: number = hour;
/**
 * As long as nobody must think of it, because clients outside a jail were given it by hand, and its end breaks them all at once. It is
 * on no public list and vouches for one installation; whoever has the key has it by the folder, which a shorter life would not mend.
 */
export const authorityLifeMs: number = 3650 * day;
export const authorityBackdateMs: number = day;
/** Workers look at the folder once a second, and clocks of processes are read at different instants. */
const lagMs = 60_000;
export const longestOverlapMs: number = 90 * day;
/** Of authorities trusted at once: bundles stay small, and a rotation in a loop ends. */
export const mostAuthorities = 8;

/** What the rules need to know of one. */
export interface Span {
  readonly id: string;
  readonly signs_from: number;
}

/** In the order in which they sign. */
export function inOrder<T extends Span>(all: readonly T[]): readonly T[] {
  return all.toSorted((one, other) => one.signs_from - other.signs_from);
}

/** The one that began last. Before all of them (a clock that was set back) the first, so that there is always one. */
export function signerAt<T extends Span>(all: readonly T[], now: number): T | undefined {
  const ordered = inOrder(all);
  return ordered.findLast(({ signs_from }) => signs_from <= now) ?? ordered[0];
}

/** The one that is trusted and does not sign yet. */
export function waitingAt<T extends Span>(all: readonly T[], now: number): T | undefined {
  const ordered = inOrder(all);
  return ordered.find((one, index) => index > 0 && one.signs_from > now);
}

/** Until when the leaves that an authority has signed can be valid; undefined while it signs, or has yet to. */
export function trustedUntil(all: readonly Span[], id: string): number | undefined {
  const ordered = inOrder(all);
  const index = ordered.findIndex((one) => one.id === id);
  const next = ordered[index + 1];
  return next === undefined ? undefined : next.signs_from + leafLifeMs + lagMs;
}

/** All whose leaves may still be met, and those that will sign: what a client has to trust. */
export function trustedAt<T extends Span>(all: readonly T[], now: number): readonly T[] {
  return inOrder(all).filter(({ id }) => now < (trustedUntil(all, id) ?? Infinity));
}

/** Whether its key is needed still: an hour after its successor began, so that a clock may be set back by that. */
export function mayStillSign(all: readonly Span[], id: string, now: number): boolean {
  const until = trustedUntil(all, id);
  return until === undefined || now < until - leafLifeMs + hour;
}

/**
 * When the next one begins. One that waits already is kept, whose start is set anew: to say it twice is to say it once.
 * `rotated` is undefined when there are too many.
 */
export function rotated<T extends Span>(all: readonly T[], make: (signsFrom: number) => T, now: number, overlapMs: number): readonly T[] | undefined {
  const kept = trustedAt(all, now);
  const waiting = waitingAt(kept, now);
  // Never before the present one, whose start a clock that was set back puts into the future.
  const signs_from = Math.max(now + overlapMs, (signerAt(kept, now)?.signs_from ?? 0) + 1);
  if (waiting !== undefined) return inOrder(kept.map((one) => one === waiting ? { ...one, signs_from } : one));
  return kept.length >= mostAuthorities ? undefined : inOrder([...kept, make(signs_from)]);
}
