import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Lifetime } from './lifetime.ts';

/**
 * A folder that is removed with its lifetime. Its path is short, because a Unix socket's path ends at 107 bytes.
 * `mode` other than 0700 for folders that another uid must reach.
 */
export async function temporaryFolder(lifetime: Lifetime, mode: number = 0o700): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 's-'));
  await chmod(folder, mode);
  lifetime.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}
