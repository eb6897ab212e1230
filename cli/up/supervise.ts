import { rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '../../contracts/clock.ts';
import { SallyportError, toSallyportError } from '../../contracts/errors.ts';
import { logFolder, runSocketFolder } from '../data-folder-paths.ts';
import { localProblem } from '../failure.ts';
import type { ChildDescription } from './child.ts';
import { prepareDataFolder } from './data-folder.ts';
import { takeFolderLock } from './folder-lock.ts';
import { openLink } from './link-client.ts';
import { serveLinks, type LinkServer } from './link.ts';
import type { ReadyReport } from './messages.ts';
import { openRotatingLog } from './rotating-log.ts';

/** A supervisor at work: an `up`, or a proxy alone. */
export interface Up {
  readonly report: ReadyReport;
  /** Settles when all is ended, by whatever asked for it. */
  readonly ended: Promise<void>;
  stop(): void;
}

export interface Household {
  readonly log: Pick<ChildDescription, 'log' | 'logFile'>;
  /** Something to be ended with it: the latest first. */
  own(part: { stop(): Promise<void> | void }): void;
  /** A line for the log. */
  note(text: string): void;
}

export interface Started {
  readonly report: ReadyReport;
  /** Replaces the workers, and tells how many those are. */
  replaceWorkers(drainMs: number): Promise<number>;
  /** What nobody waits for. */
  afterwards?(): void;
}

export interface SuperviseOptions {
  readonly dataFolder: string;
  /** Milliseconds without a hold after which it ends; `undefined`: never by itself. */
  readonly idleMs: number | undefined;
}

/** Owns the data folder while what `start` makes lives in it. When it can't start, nothing stays behind. */
export async function supervise({ dataFolder, idleMs }: SuperviseOptions, clock: Clock, start: (household: Household) => Promise<Started>): Promise<Up> {
  prepareDataFolder(dataFolder);
  const lock = takeFolderLock(dataFolder);
  if (lock === undefined) throw await inUse(dataFolder);
  // Left behind by a killed predecessor, whose workers the kernel has ended with it.
  rmSync(runSocketFolder(dataFolder), { recursive: true, force: true });

  const wanted = Promise.withResolvers<void>();
  const idle = idleTimer(idleMs, clock, () => wanted.resolve());
  const logFile = join(logFolder(dataFolder), 'sallyport.log');
  const log = openRotatingLog(logFile);
  const parts: { stop(): Promise<void> | void }[] = [];
  let links: LinkServer | undefined;
  let started: Started | undefined;
  let stopping = false;
  const household: Household = {
    log: { logFile, log: (text) => log.write(text) },
    own: (part) => { parts.push(part); },
    note: (text) => { if (!stopping) log.write(`${JSON.stringify({ time: clock.now(), msg: text })}\n`); },
  };
  const end = async (): Promise<void> => {
    stopping = true;
    idle.cancel();
    links?.tell({ type: 'stopping' });
    // In turn: the jail host tells how its agents ended, and the workers ship what they still have, to the control plane.
    for (const part of parts.toReversed()) await part.stop();
    // Released before the links end, so that whoever waits for that can start anew at once.
    lock.release();
    links?.close();
    log.close();
  };

  try {
    links = await serveLinks(dataFolder, {
      stop: () => wanted.resolve(),
      changed: () => idle.changed(links?.held ?? 0),
      replaceWorkers: async (drainMs) => {
        if (started === undefined || stopping) throw new SallyportError('overloaded', 'Sallyport is starting or stopping.', { next_steps: ['Try again.'] });
        const workers = await started.replaceWorkers(drainMs);
        household.note(`All proxy workers were replaced (${workers}).`);
        return workers;
      },
    });
    const cancelled = wanted.promise.then(() => { throw new SallyportError('control_plane_unreachable', 'Sallyport was told to stop while it started.'); });
    started = await Promise.race([start(household), cancelled]);
    links.tell({ type: 'ready', addresses: started.report.addresses });
    started.afterwards?.();
    idle.changed(links.held);
    return { report: started.report, ended: wanted.promise.then(end), stop: () => wanted.resolve() };
  } catch (thrown) {
    const error = fullDisk(dataFolder) && toSallyportError(thrown).code === 'internal'
      ? new SallyportError('disk_full', `There is no space left for the data folder ${dataFolder}.`, { cause: thrown }) : thrown;
    links?.tell({ type: 'failed', problem: localProblem(error) });
    await end();
    throw error;
  }
}

/** Whoever dies for want of space can seldom say so: the embedded database aborts. Bytes that a start needs at least. */
const leastSpace = 1024 * 1024;

function fullDisk(folder: string): boolean {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize < leastSpace;
}

async function inUse(folder: string): Promise<SallyportError> {
  const owner = await openLink(folder);
  owner?.close();
  const who = owner === undefined ? 'Another process' : `Another sallyport (process ${owner.pid})`;
  return new SallyportError('data_folder_in_use', `${who} owns the data folder ${folder}.`);
}

function idleTimer(milliseconds: number | undefined, clock: Clock, over: () => void): { changed(held: number): void; cancel(): void } {
  let timer: Timer | undefined;
  return {
    changed(held) {
      timer?.cancel();
      timer = milliseconds === undefined || held > 0 ? undefined : clock.setTimeout(over, milliseconds);
    },
    cancel: () => timer?.cancel(),
  };
}
