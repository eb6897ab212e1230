import test, { type TestFn } from 'ava';
import { accessSync, appendFileSync, constants, existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programsLack, type ProgramsName } from '../clients/programs.ts';
import { missingVariable, notRunVariable, type Missing, type Need, type NotRun } from './world/missing.ts';

const isRoot = process.getuid?.() === 0;

/**
 * AVA's `test` for tests that need something a machine may lack: `const test = needs('world', 'jail')`. Where it lacks, each test
 * is skipped and named with the reason at the end of `npm test`, and the file's hooks do nothing.
 */
export function needs(...wanted: readonly Need[]): TestFn {
  const reason = wanted.map((need) => reasonFor(need)).find((text) => text !== undefined);
  return reason === undefined ? test : skipping(reason);
}

function reasonFor(need: Need): string | undefined {
  if (need.startsWith('command ')) return onPath(need.slice('command '.length)) ? undefined : `the ${need} is not installed`;
  if (need.startsWith('program ')) return onPath(need.slice('program '.length), '/usr/local/bin:/usr/bin:/bin') ? undefined : `the ${need} is not installed in /usr`;
  if (need.startsWith('file ')) return existsSync(need.slice('file '.length)) ? undefined : `there is no ${need.slice('file '.length)}`;
  if (need.startsWith('programs ')) {
    const lack = programsLack(need.slice('programs '.length) as ProgramsName);
    return lack === undefined ? undefined : `no ${need.slice('programs '.length)} clients: ${lack}`;
  }
  if (need === 'root') return isRoot ? undefined : 'it takes root';
  if (need === 'no root') return isRoot ? 'it takes somebody who is not root' : undefined;
  const told = process.env[missingVariable];
  if (told === undefined) return need === 'jail' ? undefined : 'run it through npm test, or bin/sallyport-node test/run.ts FILE';
  const reason = (JSON.parse(told) as Missing)[need as keyof Missing];
  return reason === undefined ? undefined : `no ${need}: ${reason}`;
}

function onPath(name: string, path: string = process.env['PATH'] ?? ''): boolean {
  return path.split(':').some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function skipping(reason: string): TestFn {
  const file = relative(fileURLToPath(new URL('../', import.meta.url)), fileURLToPath(test.meta.file)).replace(/\.test\.ts$/, '');
  const skip = (title: string, ...rest: unknown[]): void => {
    const list = process.env[notRunVariable];
    const line: NotRun = { file, title, reason };
    if (list !== undefined) appendFileSync(list, `${JSON.stringify(line)}\n`);
    (test.skip as (...values: unknown[]) => void)(title, ...rest);
  };
  const hook = Object.assign(() => { /* There is nothing to prepare or to end. */ }, { always: () => { /* As above. */ }, skip: () => { /* As above. */ } });
  const shared = { skip: test.skip, after: hook, afterEach: hook, before: hook, beforeEach: hook };
  const serial = Object.assign((title: string, ...rest: unknown[]) => skip(title, ...rest), shared);
  return Object.assign((title: string, ...rest: unknown[]) => skip(title, ...rest), shared, {
    serial, macro: test.macro, meta: test.meta,
  }) as unknown as TestFn;
}
