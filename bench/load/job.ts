import { createInterface, type Interface } from 'node:readline';

/** A load's process is told what to do by a line of JSON, since credentials have no place in arguments, and answers with one. */
export const lines: Interface = createInterface({ input: process.stdin });

export const readJob = <Job>(): Promise<Job> => new Promise((resolve) => { lines.once('line', (line) => { resolve(JSON.parse(line) as Job); }); });

export interface LoadResult {
  /** Requests, set-ups, events: what the work counts. */
  readonly count: number;
  readonly seconds: number;
  /** Anything but what was wanted: how often, and what it was first. */
  readonly wrong: number;
  readonly problem: string | null;
}

/** Counts what goes wrong and keeps the first. */
export class Wrongs {
  count = 0;
  first: string | null = null;

  add(problem: string): void {
    this.count++;
    this.first ??= problem;
  }
}

export function answer(result: object): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
