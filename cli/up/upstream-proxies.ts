import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { SallyportError, type FieldError } from '../../contracts/errors.ts';
import { proxyCredentials, upstreamProxiesFileSchema, type UpstreamProxyRule } from '../../contracts/upstream-proxies.ts';
import { escapeText } from '../text.ts';

const largestFile = 1024 * 1024;
const largestSecret = 4096;

/**
 * What `--upstream-proxies FILE` says (docs/operations.md), credentials read from their files, which are named from where FILE is. Throws
 * `configuration` with every mistake and its place.
 */
export function readUpstreamProxies(file: string): readonly UpstreamProxyRule[] {
  const shown = escapeText(file);
  const wrong = (errors: readonly FieldError[]): SallyportError => new SallyportError('configuration', `${shown} has mistakes: ${errors.map(({ path, message }) => `${path}: ${message}`).join('; ')}.`, { errors });
  const useless = (message: string): SallyportError => new SallyportError('configuration', `${shown} ${message}.`, { errors: [{ path: 'file', message }] });
  let json: unknown;
  try {
    json = JSON.parse(readSmall(file, largestFile));
  } catch (error) {
    throw useless(error instanceof SyntaxError ? 'is not JSON' : reasonOf(error));
  }
  if (!Array.isArray(json)) throw useless('is not a list of rules');
  const parsed = upstreamProxiesFileSchema.safeParse(json);
  if (!parsed.success) throw wrong(parsed.error.issues.map(({ path, message }) => ({ path: path.length === 0 ? 'file' : path.join('.'), message })));
  const errors: FieldError[] = [];
  const rules = parsed.data.map(({ credentials_file, ...rule }, position): UpstreamProxyRule => {
    if (credentials_file === undefined) return rule;
    try {
      return { ...rule, credentials: readCredentials(resolve(dirname(file), credentials_file)) };
    } catch (error) {
      errors.push({ path: `${position}.credentials_file`, message: reasonOf(error) });
      return rule;
    }
  });
  if (errors.length > 0) throw wrong(errors);
  return rules;
}

class Mistake extends Error {}

function readCredentials(file: string): string {
  const text = readSmall(file, largestSecret, 0o077).replace(/\r?\n$/, '');
  const parsed = proxyCredentials.safeParse(text);
  if (!parsed.success) throw new Mistake(parsed.error.issues[0]?.message ?? 'is not USER:PASSWORD');
  return parsed.data;
}

/** `forbidden`: bits of the mode that must not be set; looked at on the open file, so that it is the one that is read. */
function readSmall(file: string, largest: number, forbidden: number = 0): string {
  const descriptor = openSync(file, 'r');
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new Mistake('is not a file');
    if ((stats.mode & forbidden) !== 0) throw new Mistake('can be read by others: give it mode 0600');
    if (stats.size > largest) throw new Mistake(`is larger than ${largest} bytes`);
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}

/** Never the content: it may be a secret. */
function reasonOf(error: unknown): string {
  if (error instanceof Mistake) return error.message;
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' ? 'does not exist' : code === 'EACCES' ? 'may not be read' : `can't be read (${code ?? 'unknown'})`;
}
