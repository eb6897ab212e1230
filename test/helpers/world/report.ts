import { stripVTControlCharacters } from 'node:util';

/**
 * Counts from what AVA's own reporter prints, line by line. (Its TAP reporter would be made for it, but ends the whole run when an
 * error has a property that is `undefined`.) AVA's exit code says whether the run is good; this says how many.
 */
export interface ReportReader {
  line(text: string): void;
  readonly passed: number;
  /** Tests and hooks that failed, tests that never ran to an end, and errors that belong to no test. */
  readonly failed: number;
  /** Titles marked as skipped, or as to do. */
  readonly skipped: readonly string[];
}

export function reportReader(): ReportReader {
  const skipped: string[] = [];
  let passed = 0;
  let failed = 0;
  return {
    skipped,
    get passed() { return passed; },
    get failed() { return failed; },
    line(coloured) {
      // AVA indents each line by two; what a test logs is deeper.
      const text = stripVTControlCharacters(coloured);
      const skip = /^ {0,2}- \[(?:skip|todo)\] (.*)$/.exec(text);
      if (skip !== null) skipped.push(skip[1] ?? '');
      else if (/^ {0,2}✔ /.test(text)) passed++;
      else if (/^ {0,2}(?:Uncaught exception|Unhandled rejection) in /.test(text)) failed++;
      else failed += Number(/^ {0,2}✘ (\d+) tests? remaining in /.exec(text)?.[1] ?? (/^ {0,2}✘ /.test(text) ? 1 : 0));
    },
  };
}
