import { mostPresent } from './agent-limits.ts';
import type { AgentKey } from './agents.ts';

/** How a `present` list is written. */
export function formatPresent(agents: Iterable<AgentKey>): string {
  return [...agents].map(({ run_id, epoch }) => `${run_id}:${epoch}`).join(',');
}

const presentShape = /^[\w.-]{1,100}:[0-9]{1,15}$/;

/** `undefined` for what `formatPresent` would not have written. */
export function parsePresent(text: string): readonly AgentKey[] | undefined {
  if (text === '') return [];
  const words = text.split(',');
  if (words.length > mostPresent || !words.every((word) => presentShape.test(word))) return undefined;
  return words.map((word) => ({ run_id: word.slice(0, word.lastIndexOf(':')), epoch: Number(word.slice(word.lastIndexOf(':') + 1)) }));
}
