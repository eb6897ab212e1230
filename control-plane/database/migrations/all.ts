import type { Migration } from '../migrate.ts';
import { spine } from './0001-spine.ts';
import { recalls } from './0002-recalls.ts';
import { leanEvents } from './0003-lean-events.ts';

/** In order. One that was ever released does not change. */
export const migrations: readonly Migration[] = [spine, recalls, leanEvents];
