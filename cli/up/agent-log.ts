import { closeSync, fstatSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Bytes of what one run's agent writes that are kept. */
const largest = 1024 * 1024;

export interface AgentLog {
  /** What the agent wrote; beyond the limit it is dropped, and the log says so once. */
  write(bytes: Buffer): void;
  /** A line of ours, kept in any case. */
  note(text: string): void;
  close(): void;
}

/** Continues the file that is there. A full disk loses lines, nothing else. */
export function openAgentLog(path: string, limit: number = largest): AgentLog {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const descriptor = openSync(path, 'a', 0o600);
  let left = Math.max(0, limit - fstatSync(descriptor).size);
  let cut = false;
  const put = (bytes: Buffer | string): void => {
    try {
      writeSync(descriptor, typeof bytes === 'string' ? Buffer.from(bytes) : bytes);
    } catch {
      // A log must not stop what it tells about.
    }
  };
  const note = (text: string): void => put(`[sallyport] ${text}\n`);
  return {
    note,
    write(bytes) {
      if (cut) return;
      put(bytes.subarray(0, left));
      left -= bytes.length;
      if (left >= 0) return;
      cut = true;
      put('\n');
      note(`The log is cut here, at ${limit} bytes; the agent goes on.`);
    },
    close: () => closeSync(descriptor),
  };
}
