import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { SallyportError } from '../../contracts/errors.ts';
import { formatVerifierKey, parseVerifierKey, rawPublicKey, type NoteSigner } from '../../contracts/signed-note.ts';
import type { Random } from '../access/rules.ts';
import { syncPath } from '../database/sync-folder.ts';

/**
 * The key that seals the chain: `seal.key` (PKCS #8, 0600), made at the first start, and `seal.pub`, what auditors pin. Its name, the
 * chain's origin, is the configured one, else the one it has, else one of its own.
 */
export async function loadSealKey(folder: string, origin: string | undefined, random: Random): Promise<NoteSigner> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const keyPath = join(folder, 'seal.key');
  const publicPath = join(folder, 'seal.pub');
  let pem = await readText(keyPath);
  if (pem === undefined) {
    pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    await writeWhole(folder, keyPath, pem, 0o600);
  }
  try {
    const private_key = createPrivateKey(pem);
    const known = parseVerifierKey((await readText(publicPath) ?? '').trim());
    const name = origin ?? known?.name ?? `sallyport/${random(4).toString('hex')}`;
    const signer = { name, public_key: rawPublicKey(private_key), private_key };
    const text = `${formatVerifierKey(signer)}\n`;
    if (await readText(publicPath) !== text) await writeWhole(folder, publicPath, text, 0o644);
    return signer;
  } catch (error) {
    throw new SallyportError('data_folder', `The sealing key ${keyPath} cannot be used: ${(error as Error).message}.`, { cause: error });
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A crash leaves the whole file or none. */
async function writeWhole(folder: string, path: string, text: string, mode: number): Promise<void> {
  const unfinished = `${path}.unfinished`;
  const file = await open(unfinished, 'w', mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(unfinished, path);
  await syncPath(folder);
}
