import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SallyportError } from '../../contracts/errors.ts';
import type { Identity } from '../identity.ts';
import { allows, canReach } from '../reach.ts';
import type { WorkFolder } from '../work/folder.ts';
import type { StagedMount } from './command.ts';

/** Everybody can pass it; a folder made by `mkdtemp` in it is safe from others by its sticky bit. */
const stagingParent = '/tmp';

export interface Sources {
  readonly node: string;
  readonly work: string;
  readonly mounts: readonly StagedMount[];
  /** Once bwrap has its own mounts of them. */
  remove(): void;
}

/**
 * Where bwrap finds Node and the work folder. Below /root, or another folder that is closed to the agent's uid, it could not walk
 * to them (nor through a descriptor: bwrap resolves /proc/self/fd/N to the name first); a root launcher then mounts them at a
 * place that is open, in a mount namespace which nobody else sees and which goes with the launch.
 */
export function stageSources(identity: Identity, work: WorkFolder, nodePath: string): Sources {
  const node = realpathSync(nodePath);
  const isNodeOpen = !identity.dropped || (canReach(node, identity) && allows(statSync(node), identity, 0o5));
  const isWorkOpen = !identity.dropped || canReach(work.path, identity);
  if (isNodeOpen && isWorkOpen) return { node, work: work.path, mounts: [], remove: () => { /* Nothing was made. */ } };
  if (!allows(statSync(node), identity, 0o5)) {
    throw new SallyportError('jail_unavailable', `The agent's uid ${identity.uid} may not run Node at ${node}.`, { next_steps: [`chmod a+rx ${node}`] });
  }
  const folder = mkdtempSync(join(stagingParent, 'sallyport-'));
  chmodSync(folder, 0o755);
  const mounts: StagedMount[] = [];
  const stage = (isOpen: boolean, source: string, name: string, make: (target: string) => void): string => {
    if (isOpen) return source;
    const target = join(folder, name);
    make(target);
    mounts.push({ source, target });
    return target;
  };
  return {
    node: stage(isNodeOpen, node, 'node', (target) => writeFileSync(target, '')),
    work: stage(isWorkOpen, work.path, 'work', (target) => mkdirSync(target)),
    mounts,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
