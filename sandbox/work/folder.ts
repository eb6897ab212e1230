import { accessSync, chownSync, closeSync, constants, fstatSync, lchownSync, openSync, readlinkSync, realpathSync } from 'node:fs';
import { SallyportError } from '../../contracts/errors.ts';
import type { Account, Identity } from '../identity.ts';
import { allows } from '../reach.ts';
import { walkTree } from './tree.ts';

/** Linux's own; Node has no name for it. Equal on x86_64 and aarch64. */
const O_PATH = 0o10000000;
/** `--give-work` looks at so many entries at most. */
const mostGiven = 1_000_000;

/** A folder, opened once: what is checked is what is bound, whatever happens to its name meanwhile. */
export interface WorkFolder {
  readonly path: string;
  readonly descriptor: number;
  /** Reaches the folder itself from this process. */
  readonly place: string;
  readonly device: bigint;
  readonly inode: bigint;
  readonly owner: Account;
  close(): void;
}

export function openWorkFolder(path: string): WorkFolder {
  const real = resolve(path);
  let descriptor: number;
  try {
    descriptor = openSync(real, O_PATH | constants.O_NOFOLLOW | constants.O_DIRECTORY);
  } catch (error) {
    throw unusable(path, (error as NodeJS.ErrnoException).code === 'ENOTDIR' ? 'it is not a folder' : (error as Error).message, error);
  }
  const place = `/proc/self/fd/${descriptor}`;
  // Somebody moved it, or put a link in its way, between the two calls.
  if (readlinkSync(place) !== real) {
    closeSync(descriptor);
    throw unusable(path, 'it changed while it was looked at');
  }
  const { dev, ino, uid, gid } = fstatSync(descriptor, { bigint: true });
  return { path: real, descriptor, place, device: dev, inode: ino, owner: { uid: Number(uid), gid: Number(gid) }, close: () => closeSync(descriptor) };
}

function resolve(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw unusable(path, (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'it does not exist' : (error as Error).message, error);
  }
}

function unusable(path: string, reason: string, cause?: unknown): SallyportError {
  return new SallyportError('jail_spec', `The work folder ${path} cannot be used: ${reason}.`, { cause, next_steps: ['Name an existing folder: --work DIR.'] });
}

/** Refuses a folder that the agent could not write in, or hands it over where `give` says so. */
export async function ensureWritable(folder: WorkFolder, identity: Identity, give: boolean): Promise<void> {
  if (!identity.dropped) {
    try {
      accessSync(folder.place, constants.W_OK | constants.X_OK);
    } catch (error) {
      throw new SallyportError('jail_spec', `You cannot write in the work folder ${folder.path}, so the agent could not either.`, {
        cause: error, next_steps: ['Name a folder of your own: --work DIR.'],
      });
    }
    return;
  }
  if (allows(fstatSync(folder.descriptor), identity, 0o3)) return;
  if (!give) {
    throw new SallyportError('jail_spec', `The agent runs as uid ${identity.uid}, never as root, and this uid cannot write in the work folder ${folder.path}.`, {
      next_steps: [
        'Name another folder: --work DIR; the agent runs as its owner when that is not root.',
        `Or hand this one over: --give-work makes uid ${identity.uid} the owner of it and of what root owns in it.`,
      ],
    });
  }
  await giveFolder(folder, identity);
}

async function giveFolder(folder: WorkFolder, { uid, gid }: Account): Promise<void> {
  const isComplete = await walkTree(folder.place, { entries: mostGiven, isOver: () => false }, ({ place, stats }) => {
    // Another name of the file may lie outside; and what others own stays theirs.
    if (stats.uid !== 0 || (!stats.isDirectory() && stats.nlink > 1)) return;
    lchownSync(place, uid, gid);
  });
  if (!isComplete) throw new SallyportError('jail_spec', `The work folder ${folder.path} is too large or too deep to hand over whole (${mostGiven} entries, 64 levels).`, { next_steps: ['Name another folder: --work DIR.'] });
  chownSync(folder.place, uid, gid);
  if (!allows(fstatSync(folder.descriptor), { uid, gid }, 0o3)) {
    throw new SallyportError('jail_spec', `The work folder ${folder.path} cannot be written in even by its owner.`, { next_steps: [`chmod u+wx ${folder.path}`] });
  }
}
