import { randomBytes } from 'node:crypto';
import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '../../contracts/clock.ts';
import { SallyportError, toSallyportError } from '../../contracts/errors.ts';
import { apiSocket, logFolder } from '../data-folder-paths.ts';
import { localProblem } from '../failure.ts';
import { parseListenAddress, type ListenAddress } from '../listen-address.ts';
import { Child, type ChildDescription } from './child.ts';
import { formatAddress } from './describe.ts';
import { prepareDataFolder } from './data-folder.ts';
import { takeFolderLock } from './folder-lock.ts';
import { openLink } from './link-client.ts';
import type { HostConfiguration } from './agent-host.ts';
import { serveLinks, type LinkServer } from './link.ts';
import type { Addresses, ReadyReport } from './messages.ts';
import { openRotatingLog } from './rotating-log.ts';

export interface UpOptions {
  readonly dataFolder: string;
  /** `undefined`: sockets only. */
  readonly listen: ListenAddress | undefined;
  readonly api: ListenAddress | undefined;
  readonly policiesFolder: string;
  readonly databaseUrl: string | undefined;
  /** Milliseconds without a hold after which it ends; `undefined`: never by itself. */
  readonly idleMs: number | undefined;
  readonly childEnvironment: Readonly<Record<string, string>>;
}

export interface Up {
  readonly report: ReadyReport;
  /** Settles when all is ended, by whatever asked for it. */
  readonly ended: Promise<void>;
  stop(): void;
}

/** Owns the data folder, and keeps a control plane, a proxy worker and a jail host alive in it. When it can't start, nothing stays behind. */
export async function startUp(options: UpOptions, clock: Clock): Promise<Up> {
  prepareDataFolder(options.dataFolder);
  const lock = takeFolderLock(options.dataFolder);
  if (lock === undefined) throw await inUse(options.dataFolder);

  const wanted = Promise.withResolvers<void>();
  const idle = idleTimer(options.idleMs, clock, () => wanted.resolve());
  let links: LinkServer | undefined;
  let children: Child[] = [];
  const logFile = join(logFolder(options.dataFolder), 'sallyport.log');
  const log = openRotatingLog(logFile);
  let stopping = false;
  const end = async (): Promise<void> => {
    stopping = true;
    idle.cancel();
    links?.tell({ type: 'stopping' });
    // In turn: the jail host tells how its agents ended, and the worker ships what it still has, to the control plane.
    for (const child of children.toReversed()) await child.stop();
    // Released before the links end, so that whoever waits for that can start anew at once.
    lock.release();
    links?.close();
    log.close();
  };

  try {
    links = await serveLinks(options.dataFolder, { stop: () => wanted.resolve(), changed: () => idle.changed(links?.held ?? 0) });
    const bound: Bound = {};
    const described = describeChildren(options, bound, { logFile, log: (text) => log.write(text) });
    const controlPlane = new Child(described.controlPlane, clock);
    // Its code is loaded meanwhile; its configuration waits for where the control plane listens.
    const known = Promise.withResolvers<Addresses>();
    const worker = new Child(described.worker(known.promise), clock);
    children = [controlPlane, worker];
    const cancelled = wanted.promise.then(() => { throw new SallyportError('control_plane_unreachable', 'It was told to stop while it started.'); });
    const starting = controlPlane.start().then((report) => {
      known.resolve(report.addresses);
      return report;
    });
    const report = merge(await Promise.race([Promise.all([starting, worker.start()]), cancelled]));
    bound.api = parseAddress(report.addresses['api']);
    bound.listen = parseAddress(report.addresses['proxy']);
    links.tell({ type: 'ready', addresses: report.addresses });
    // Last, and not waited for: it has nothing to do before there is a run, and the others are what a run waits for.
    const host = new Child(described.jailHost, clock);
    children.push(host);
    host.start().catch((error: unknown) => { if (!stopping) log.write(`${JSON.stringify({ time: clock.now(), msg: toSallyportError(error).message })}\n`); });
    idle.changed(links.held);
    return { report, ended: wanted.promise.then(end), stop: () => wanted.resolve() };
  } catch (thrown) {
    const error = fullDisk(options.dataFolder) && toSallyportError(thrown).code === 'internal'
      ? new SallyportError('disk_full', `There is no space left for the data folder ${options.dataFolder}.`, { cause: thrown }) : thrown;
    links?.tell({ type: 'failed', problem: localProblem(error) });
    await end();
    throw error;
  }
}

/** What port 0 became: a child that is restarted listens where its clients know it. */
interface Bound {
  api?: ListenAddress | undefined;
  listen?: ListenAddress | undefined;
}

/** Whoever dies for want of space can seldom say so: the embedded database aborts. Bytes that a start needs at least. */
const leastSpace = 1024 * 1024;

function fullDisk(folder: string): boolean {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize < leastSpace;
}

interface Described {
  readonly controlPlane: ChildDescription;
  worker(controlPlane: Promise<Addresses>): ChildDescription;
  readonly jailHost: ChildDescription;
}

function describeChildren(options: UpOptions, bound: Bound, log: Pick<ChildDescription, 'log' | 'logFile'>): Described {
  const token = `sp_px_${randomBytes(32).toString('base64url')}`;
  const common = { environment: options.childEnvironment, ...log };
  const api_socket = apiSocket(options.dataFolder);
  return {
    controlPlane: {
      ...common,
      name: 'control plane',
      script: new URL('../../control-plane/main.ts', import.meta.url),
      configuration: () => ({
        data_folder: options.dataFolder, api_socket, policies_folder: options.policiesFolder, data_plane_token: token,
        ...(options.databaseUrl !== undefined && { database_url: options.databaseUrl }),
        ...(options.api !== undefined && { api_listen: bound.api ?? options.api }),
      }),
    },
    worker: (controlPlane) => ({
      ...common,
      name: 'proxy worker',
      script: new URL('../../proxy/main.ts', import.meta.url),
      configuration: async () => ({
        data_folder: options.dataFolder, slot: 0, control_plane: { socket_path: api_socket }, data_plane_token: token, durability: 'crash',
        own_addresses: [bound.listen ?? options.listen, parseAddress((await controlPlane)['api'])].filter((address) => address !== undefined),
        ...(options.listen !== undefined && { listen: bound.listen ?? options.listen }),
      }),
    }),
    jailHost: {
      ...common,
      name: 'jail host',
      script: new URL('./jail-host.ts', import.meta.url),
      configuration: (): HostConfiguration => ({ data_folder: options.dataFolder, data_plane_token: token }),
    },
  };
}

/** Where a ready message says that something listens. */
function parseAddress(value: unknown): ListenAddress | undefined {
  const text = formatAddress(value);
  const parsed = text === undefined ? { mistake: 'absent' } : parseListenAddress(text);
  return 'mistake' in parsed ? undefined : parsed.value;
}

function merge(reports: readonly ReadyReport[]): ReadyReport {
  return {
    addresses: Object.assign({}, ...reports.map(({ addresses }) => addresses)) as ReadyReport['addresses'],
    notices: reports.flatMap(({ notices }) => notices),
  };
}

async function inUse(folder: string): Promise<SallyportError> {
  const owner = await openLink(folder);
  owner?.close();
  const who = owner === undefined ? 'Another process' : `Another sallyport up (process ${owner.pid})`;
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
