import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

/** Bytes of one log file; the one before it is kept as `.1`. */
const largest = 10 * 1024 * 1024;

/** What the processes of an `up` write to their outputs. A full disk loses log lines, nothing else. */
export interface RotatingLog {
  write(text: string | Buffer): void;
  close(): void;
}

export function openRotatingLog(path: string, limit: number = largest): RotatingLog {
  let descriptor: number | undefined = openSync(path, 'a', 0o600);
  let size = fstatSync(descriptor).size;
  return {
    write(text) {
      if (descriptor === undefined) return;
      const bytes = typeof text === 'string' ? Buffer.from(text) : text;
      try {
        if (size + bytes.length > limit && size > 0) {
          closeSync(descriptor);
          descriptor = undefined;
          renameSync(path, `${path}.1`);
          descriptor = openSync(path, 'a', 0o600);
          size = 0;
        }
        writeSync(descriptor, bytes);
        size += bytes.length;
      } catch {
        // A log must not stop what it tells about.
      }
    },
    close() {
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
    },
  };
}
