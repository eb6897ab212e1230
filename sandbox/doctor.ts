import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { toSallyportError } from '../contracts/errors.ts';
import type { JailFacts, LimitKeeper } from '../contracts/jail.ts';
import { dedicatedId } from './identity.ts';
import { launchFailure } from './launch/failure.ts';
import { findTool, lookForTool, type Tool } from './launch/tools.ts';
import { isKnownArchitecture } from './seccomp/filter.ts';
import { startJail } from './start-jail.ts';

/** `limited` is a jail that holds, with a limit kept less well; with `missing` no jail can be had. */
export type CheckStatus = 'ok' | 'limited' | 'missing';

export interface HostCheck {
  readonly name: string;
  readonly status: CheckStatus;
  /** What this host has, in a sentence. */
  readonly found: string;
  /** What would mend it. */
  readonly next: readonly string[];
}

export interface HostReport {
  /** Whether `startJail` works here: a jail was started and looked at from inside. */
  readonly can_jail: boolean;
  readonly checks: readonly HostCheck[];
}

/** `--disable-userns` and `--size` came with it. */
const leastVersion = [0, 8, 0] as const;

/** What this host can and cannot isolate. It starts a jail of its own to find out, and takes a second at most. */
export async function inspectHost(): Promise<HostReport> {
  const tried = await tryJail();
  const checks = [
    checkPlatform(), await checkBubblewrap(), checkTools(), await checkNamespaces(), checkIdentity(), tried.check,
    ...(tried.facts === undefined ? [] : checkLimits(tried.facts.limits)),
  ];
  return { can_jail: tried.facts !== undefined, checks };
}

const check = (name: string, status: CheckStatus, found: string, next: readonly string[] = []): HostCheck => ({ name, status, found, next });

function checkPlatform(): HostCheck {
  const name = 'system call filter';
  if (process.platform !== 'linux') return check(name, 'missing', `This is ${process.platform}; a jail needs Linux.`, ['Run Sallyport on Linux, or in a Linux virtual machine.']);
  if (!isKnownArchitecture(process.arch)) return check(name, 'missing', `There is no filter for the processor architecture ${process.arch}.`, ['Use a machine with x86_64 or aarch64.']);
  return check(name, 'ok', `The filter for ${process.arch} is built in.`);
}

async function checkBubblewrap(): Promise<HostCheck> {
  const name = 'bubblewrap';
  const path = lookForTool('bwrap');
  if (path === undefined) return check(name, 'missing', 'bwrap is not installed.', ['apt install bubblewrap (or run npm run setup).']);
  const version = await promisify(execFile)(path, ['--version'], { env: {} }).then(({ stdout }) => stdout.trim(), () => 'an unknown version');
  return isEnough(version)
    ? check(name, 'ok', `${path} is ${version}.`)
    : check(name, 'missing', `${path} is ${version}; 0.8.0 or later is needed.`, ['Install a newer bubblewrap (Debian 12, Ubuntu 24.04 and Fedora 38 have it).']);
}

/** Of `bubblewrap 0.8.0`. */
export function isEnough(version: string): boolean {
  const numbers = /(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number);
  if (numbers === undefined) return false;
  const first = leastVersion.findIndex((least, index) => least !== numbers[index]);
  return first < 0 || (numbers[first] ?? 0) > (leastVersion[first] ?? 0);
}

function checkTools(): HostCheck {
  const wanted: readonly Tool[] = ['prlimit', 'sh', 'env', ...(process.getuid?.() === 0 ? ['setpriv', 'unshare', 'mount'] as const : [])];
  const missing = wanted.filter((tool) => lookForTool(tool) === undefined);
  return missing.length === 0
    ? check('helper programs', 'ok', `Installed: ${wanted.join(', ')}.`)
    : check('helper programs', 'missing', `Missing: ${missing.join(', ')}.`, ['apt install util-linux coreutils mount dash.']);
}

async function checkNamespaces(): Promise<HostCheck> {
  const name = 'namespaces';
  const restricted = await readSetting('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === '1';
  try {
    const root = process.getuid?.() === 0;
    await promisify(execFile)(findTool('bwrap'), ['--unshare-user', '--unshare-net', '--unshare-pid', '--ro-bind', '/', '/', '/usr/bin/true'], {
      env: {}, cwd: '/', ...(root && { uid: dedicatedId, gid: dedicatedId }),
    });
  } catch (error) {
    const { code, extras } = launchFailure(String((error as { stderr?: string }).stderr ?? (error as Error).message), { code: 1, signal: null });
    return check(name, 'missing', launchSaid(error), extras.next_steps ?? [`See ${code}.`]);
  }
  return check(name, 'ok', `User, process and network namespaces can be made${restricted ? ', although AppArmor restricts them for other programs' : ''}.`);
}

const launchSaid = (error: unknown): string => {
  const said = String((error as { stderr?: string }).stderr ?? '').trim();
  return `bwrap cannot make them${said === '' ? '' : `: ${said.split('\n')[0] ?? ''}`}.`;
};

async function readSetting(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').then((text) => text.trim(), () => undefined);
}

function checkIdentity(): HostCheck {
  return process.getuid?.() === 0
    ? check('uid', 'ok', `Sallyport runs as root: agents run as the owner of their work folder, or as uid ${dedicatedId} where that is root.`)
    : check('uid', 'ok', `Agents run as your own uid (${process.getuid?.() ?? 'unknown'}).`);
}

async function tryJail(): Promise<{ readonly check: HostCheck; readonly facts?: JailFacts }> {
  const name = 'a jail';
  const work = await mkdtemp(join(tmpdir(), 'sallyport-'));
  try {
    const jail = await startJail({ argv: ['true'], run_id: 'doctor', work, give_work: true }, { onConnection: (socket) => socket.destroy() });
    jail.stdout.resume();
    jail.stderr.resume();
    const { code } = await jail.exited;
    if (code !== 0) return { check: check(name, 'missing', `A jail was started, but true ended with ${code ?? 'a signal'} in it.`) };
    return { check: check(name, 'ok', 'A jail was started, and from inside it looked as it must: its own namespaces, no capabilities, a filter, no interface but lo.'), facts: jail.facts };
  } catch (thrown) {
    const error = toSallyportError(thrown);
    return { check: check(name, 'missing', error.message, error.extras.next_steps ?? [error.entry.next]) };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const groupAdvice = ['Run as root, or under systemd-run --user --scope -p Delegate=yes, so that a control group can keep it.'];

function checkLimits(limits: JailFacts['limits']): readonly HostCheck[] {
  const byGroup = (keeper: LimitKeeper): boolean => keeper === 'cgroup_v1' || keeper === 'cgroup_v2';
  const told = (keeper: LimitKeeper): string => (keeper === 'cgroup_v2' ? 'control groups v2' : 'control groups v1');
  return [
    byGroup(limits.memory)
      ? check('memory limit', 'ok', `Kept by the kernel (${told(limits.memory)}).`)
      : check('memory limit', 'limited', 'No control group can be used: a watcher looks four times a second and ends a jail past its limit, which may be over it that long.', groupAdvice),
    byGroup(limits.pids)
      ? check('process limit', 'ok', `Kept by the kernel (${told(limits.pids)}).`)
      : check('process limit', 'limited', 'Kept by RLIMIT_NPROC, which counts all processes of the uid.', groupAdvice),
  ];
}
