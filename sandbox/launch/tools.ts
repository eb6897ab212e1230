import { accessSync, constants } from 'node:fs';
import { SallyportError } from '../../contracts/errors.ts';

/** Folders of the system alone: Ubuntu's AppArmor profile for bwrap names /usr/bin/bwrap, and a PATH may name anybody's. */
const folders = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin'] as const;

/** Which package brings each, by Debian's names. */
const packages = { bwrap: 'bubblewrap', prlimit: 'util-linux', setpriv: 'util-linux', unshare: 'util-linux', mount: 'mount', sh: 'dash', env: 'coreutils' } as const;
export type Tool = keyof typeof packages;

export function lookForTool(tool: Tool): string | undefined {
  return folders.map((folder) => `${folder}/${tool}`).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export function findTool(tool: Tool): string {
  const path = lookForTool(tool);
  if (path !== undefined) return path;
  throw new SallyportError('missing_tool', `The jail needs the program ${tool}, which is not installed in ${folders.join(', ')}.`, {
    next_steps: [`Install the package ${packages[tool]}: apt install ${packages[tool]} (or run npm run setup).`],
  });
}
