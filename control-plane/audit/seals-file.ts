import { open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseSeal, type SealedHead, type SealLine } from '../../contracts/seal.ts';
import { syncPath } from '../database/sync-folder.ts';

/** A line has about 500 bytes, so the last whole one is surely in here. */
const tailBytes = 64 * 1024;

/** Seals outside of the database: `seals.jsonl`, one line each. A rewritten or older database is held against them. */
export class SealsFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** On disk, with the power off too, when it returns. */
  async append(seal: SealLine): Promise<void> {
    const isNew = await stat(this.#path).then(() => false, () => true);
    const file = await open(this.#path, 'a', 0o600);
    try {
      // A line that a crash cut short must not swallow this one.
      const { size } = await file.stat();
      await file.appendFile(`${size > 0 && !await endsWithNewline(this.#path, size) ? '\n' : ''}${JSON.stringify(seal)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    if (isNew) await syncPath(dirname(this.#path));
  }

  /** What the last seal says; a line cut short by a crash was never relied on. */
  async last(): Promise<SealedHead | undefined> {
    const text = await readTail(this.#path);
    for (const line of text.split('\n').toReversed()) {
      const head = parseLine(line);
      if (head !== undefined) return head;
    }
    return undefined;
  }
}

function parseLine(line: string): SealedHead | undefined {
  try {
    return parseSeal((JSON.parse(line) as SealLine).note);
  } catch {
    return undefined;
  }
}

async function readTail(path: string): Promise<string> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const from = Math.max(0, size - tailBytes);
      const { buffer } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
      return buffer.toString('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

async function endsWithNewline(path: string, size: number): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
    return buffer[0] === 0x0a;
  } finally {
    await file.close();
  }
}
