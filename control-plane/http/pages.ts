import { z } from 'zod';
import type { Page } from '../../contracts/run-api.ts';

const usual = 50;
const most = 200;

/** `limit` of a list: 1 to 200, 50 unless given. */
export const pageLimit = z.string().regex(/^[0-9]{1,4}$/, 'must be a number').default(String(usual)).transform(Number).pipe(z.int().min(1).max(most));

/** A page of what was read with one more than `limit`, so that the last page is known to be the last. */
export function pageOf<T>(read: readonly T[], limit: number, cursor: (item: T) => string): Page<T> {
  const items = read.slice(0, limit);
  const last = items.at(-1);
  return { items, next_cursor: read.length > limit && last !== undefined ? cursor(last) : null };
}
