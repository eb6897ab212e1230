import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { SallyportError } from '../../contracts/errors.ts';
import { proxyTokenFile } from '../data-folder-paths.ts';

/** As the control plane takes it. */
export const proxyTokenShape = /^sp_px_[A-Za-z0-9_-]{16,200}$/;

/** The token by which this installation's proxies are known; `undefined` before the first start. */
export function readProxyToken(folder: string): string | undefined {
  const file = proxyTokenFile(folder);
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new SallyportError('data_folder', `${file} cannot be read: ${(error as Error).message}.`, { cause: error });
  }
  if (proxyTokenShape.test(text)) return text;
  throw new SallyportError('data_folder', `${file} does not hold a proxy token.`, { next_steps: ['Remove it: the next start makes a new one, which proxies elsewhere have to be given.'] });
}

/** Makes one that stays, so that proxies elsewhere outlive a restart. Only the owner of the folder's lock may call this. */
export function ensureProxyToken(folder: string): string {
  const known = readProxyToken(folder);
  if (known !== undefined) return known;
  const token = `sp_px_${randomBytes(32).toString('base64url')}`;
  const file = proxyTokenFile(folder);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  // Under another name first: a file that is there is whole.
  writeFileSync(`${file}.new`, `${token}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return token;
}
