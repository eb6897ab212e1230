import { readdirSync, readFileSync } from 'node:fs';
import { extname, join, posix } from 'node:path';

export interface SourceFile {
  /** From the project's root, with `/`. */
  readonly path: string;
  readonly text: string;
}

export interface Import {
  /** A file of ours, from the root; otherwise the package or `node:` name as written. */
  readonly target: string;
  readonly isOurs: boolean;
  /** What stands between `import` and `from`; empty for the other forms. */
  readonly clause: string;
}

const textual = new Set(['.ts', '.js', '.cjs', '.mjs', '.rego', '.go', '.sh', '.sql', '.json', '.css', '.html', '']);
const skippedFolders = new Set(['node_modules', 'coverage']);

/** Every file of the project that people write, sorted by path. Folders and files that begin with a dot are the tools'. */
export function sourceFiles(root: string): readonly SourceFile[] {
  return pathsBelow(root, '').sort().map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

function pathsBelow(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith('.') || skippedFolders.has(entry.name)) return [];
    const path = posix.join(folder, entry.name);
    if (entry.isDirectory()) return pathsBelow(root, path);
    return entry.isFile() && textual.has(extname(entry.name)) ? [path] : [];
  });
}

/** Static and dynamic imports, re-exports, `require` and files named by `new URL('...', import.meta.url)`. */
export function importsOf(file: SourceFile): readonly Import[] {
  const code = file.text.replace(/^\s*(?:\/\/|\*|\/\*).*$/gm, '');
  const forms = [
    /^\s*(?:import|export)\s+([^'"`;()]*?)\s*\bfrom\s*['"]([^'"]+)['"]/gm,
    /^\s*(import)\s*['"]([^'"]+)['"]/gm,
    /\b(import|require)\(\s*['"]([^'"]+)['"]/g,
    /\b(URL)\(\s*['"](\.[^'"]+\.(?:ts|cjs))['"]\s*,\s*import\.meta\.url/g,
  ];
  return forms.flatMap((form, index) => [...code.matchAll(form)].map((match) => resolve(file, index === 0 ? match[1] ?? '' : '', match[2] ?? '')));
}

function resolve(file: SourceFile, clause: string, specifier: string): Import {
  const isOurs = specifier.startsWith('.');
  return { target: isOurs ? posix.join(posix.dirname(file.path), specifier) : specifier, isOurs, clause };
}

/** `koa` of `koa/lib/x.js`, `@koa/router` of `@koa/router`; `undefined` for Node's own and ours. */
export function packageOf({ target, isOurs }: Import): string | undefined {
  if (isOurs || target.startsWith('node:')) return undefined;
  return target.split('/').slice(0, target.startsWith('@') ? 2 : 1).join('/');
}

export const isCode = ({ path }: SourceFile): boolean => /\.(?:ts|js|cjs|mjs)$/.test(path);
export const topFolder = (path: string): string => (path.includes('/') ? path.slice(0, path.indexOf('/')) : '');
