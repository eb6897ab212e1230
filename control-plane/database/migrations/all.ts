import type { Migration } from '../migrate.ts';
import { spine } from './0001-spine.ts';

/** In order. One that was ever released does not change. */
export const migrations: readonly Migration[] = [spine];
