/** Reads AVA's TAP line by line: enough to count, to print one line a test, and to name what was skipped. */
export interface TapCounts {
  readonly passed: number;
  readonly failed: number;
}

export interface TapReader {
  /** Takes one line, gives what to print for it. */
  line(text: string): string | undefined;
  /** As counted by AVA's own summary; `undefined` when it never came. */
  counts(): TapCounts | undefined;
  /** Titles marked as skipped, or as to do. */
  readonly skipped: readonly string[];
}

export function tapReader(): TapReader {
  const skipped: string[] = [];
  const summary = new Map<string, number>();
  return {
    skipped,
    line(text) {
      const result = /^(ok|not ok) \d+ - (.*?)(?: # (SKIP|TODO))?$/.exec(text);
      if (result !== null) {
        const [, verdict, title = '', directive] = result;
        if (directive !== undefined) {
          skipped.push(title);
          return `  - ${title}`;
        }
        return `  ${verdict === 'ok' ? '✔' : '✘'} ${title}`;
      }
      const total = /^# (tests|pass|skip|fail) (\d+)$/.exec(text);
      if (total !== null) {
        summary.set(total[1] ?? '', Number(total[2]));
        return undefined;
      }
      // The plan, the version and the titles of hooks, which say nothing to a person. What a test logs is indented.
      if (/^(TAP version \d+|\d+\.\.\d+|# \S.*)?$/.test(text)) return undefined;
      return text;
    },
    counts() {
      const passed = summary.get('pass');
      const failed = summary.get('fail');
      return passed === undefined || failed === undefined ? undefined : { passed, failed };
    },
  };
}
