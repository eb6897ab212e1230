import { dirname, relative } from 'node:path';
import { SallyportError } from '../../contracts/errors.ts';

/** The system's own, and folders that hold the sockets of its services: a read-write bind of one would be a way out. */
const systemFolders = ['/bin', '/boot', '/dev', '/etc', '/lib', '/lib32', '/lib64', '/libx32', '/proc', '/run', '/sbin', '/sys', '/usr', '/var/run', '/var/lib/docker'] as const;
/** A folder that holds one of these whole is more than a project. */
const wholeFolders = ['/home', '/opt', '/root', '/srv', '/tmp', '/var', '/var/lib', '/var/tmp'] as const;

export interface ForbiddenPlaces {
  /** Home folders of the machine's accounts. */
  readonly homes: readonly string[];
  /** Must neither contain the work folder nor lie in it. */
  readonly keepOut: readonly string[];
  /** Our own code: an agent that can write it owns the next launcher. */
  readonly installation: string;
}

/** The folder that holds this project. */
export const installation = dirname(dirname(import.meta.dirname));

const isWithin = (path: string, folder: string): boolean => {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith('../'));
};

/** Why an agent must not have `folder` (a real path), or `undefined`. */
export function whyForbidden(folder: string, { homes, keepOut, installation: ours }: ForbiddenPlaces): string | undefined {
  const system = systemFolders.find((path) => isWithin(folder, path));
  if (system !== undefined) return `it lies in ${system}, which belongs to the system`;
  const whole = [...systemFolders, ...wholeFolders].find((path) => isWithin(path, folder));
  if (whole !== undefined) return folder === whole ? `${folder} is shared by the whole system` : `it contains ${whole}`;
  const home = homes.find((path) => path !== '/' && path !== '' && isWithin(path, folder));
  if (home !== undefined) return folder === home ? 'it is a whole home folder, with its keys and settings' : `it contains the home folder ${home}`;
  if (isWithin(ours, folder)) return "it holds Sallyport's own code, which the agent could change";
  const kept = keepOut.find((path) => isWithin(folder, path) || isWithin(path, folder));
  return kept === undefined ? undefined : `${kept} must stay out of the agent's reach`;
}

export function refuseForbidden(folder: string, places: ForbiddenPlaces): void {
  const reason = whyForbidden(folder, places);
  if (reason === undefined) return;
  throw new SallyportError('jail_spec', `The agent cannot have ${folder} as its work folder: ${reason}.`, {
    next_steps: ['Name a folder for this work alone: --work DIR.'],
  });
}
