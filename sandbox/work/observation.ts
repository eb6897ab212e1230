import type { Clock } from '../../contracts/clock.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { JailEnd, JailSpec } from '../../contracts/jail.ts';
import type { WorkFolder } from './folder.ts';
import { gitChanges, gitFiles, nestedGitChanges } from './git-traps.ts';
import { mostWatched, watchQuota } from './quota-watcher.ts';
import { surveyFolder } from './survey.ts';

/** A look for sockets before the start, beside the building of the jail: it must not hold the start up. */
const quickLook = { entries: 20_000, milliseconds: 40 };
/** A look at what the agent left, at the end. */
const finalLook = { entries: 200_000, milliseconds: 2000 };
/** A quota needs to know the whole. */
const wholeLook = { entries: mostWatched, milliseconds: 60_000 };

/** What the host remembers of a work folder from before the run, to compare with at the end. */
export interface Observation {
  readonly warnings: readonly string[];
  /** Keeps the folder to its quota, where it has one. */
  watch(onExceeded: () => void): { stop(): void };
  inspect(): Promise<Pick<JailEnd, 'git_changes' | 'warnings'>>;
}

export async function observe(folder: WorkFolder, { work_quota_bytes: quota }: Pick<JailSpec, 'work_quota_bytes'>, clock: Clock): Promise<Observation> {
  const startedMs = clock.now();
  const before = gitFiles(folder.path, '.git');
  const look = (bounds: { readonly entries: number; readonly milliseconds: number }): ReturnType<typeof surveyFolder> => {
    const end = clock.monotonic() + bounds.milliseconds;
    return surveyFolder(folder.place, { entries: bounds.entries, isOver: () => clock.monotonic() > end });
  };
  const found = await look(quota === undefined ? quickLook : wholeLook);
  if (quota !== undefined && found.entries >= mostWatched) {
    throw new SallyportError('jail_spec', `The work folder ${folder.path} holds too many files (${mostWatched}) to be held to a quota.`, { next_steps: ['Leave the quota out, or name a smaller folder: --work DIR.'] });
  }
  return {
    warnings: found.sockets.length === 0 ? [] : [
      `The work folder holds sockets of the host, which the agent can connect to: ${found.sockets.join(', ')}. Remove them, or deny Unix sockets.`,
    ],
    watch: (onExceeded) => (quota === undefined ? { stop: () => { /* Nothing is watched. */ } } : watchQuota(folder.place, found.bytes, quota, clock, onExceeded)),
    async inspect() {
      const left = await look(finalLook);
      return {
        git_changes: [...gitChanges(before, gitFiles(folder.path, '.git')), ...nestedGitChanges(folder.path, left.repositories, startedMs)],
        warnings: [
          ...(left.setIdFiles.length === 0 ? [] : [`The agent left programs that run with the rights of their owner (set-id): ${left.setIdFiles.join(', ')}.`]),
          ...(left.isComplete ? [] : [`The work folder was too large to look through whole (${finalLook.entries} entries, ${finalLook.milliseconds} ms): git repositories or set-id programs below it may have gone unseen.`]),
        ],
      };
    },
  };
}
