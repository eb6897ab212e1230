import type { JailSpec } from '../../contracts/jail.ts';
import { agentHome, toolsFolder } from '../agent-environment.ts';
import type { Defences } from './defences.ts';

/** POSIX shared memory; what is stored there counts as memory. */
const sharedMemoryBytes = 64 * 1024 * 1024;

/** What of the host's `/` is a link into `/usr` (merged), and what a folder. */
export interface SystemFolder {
  readonly path: string;
  readonly kind: 'link' | 'folder';
  /** Of a link. */
  readonly target?: string;
}

/** A small file of our own, whose content bwrap reads from a descriptor: nothing of it lies on the host. */
export interface GivenFile {
  readonly path: string;
  readonly descriptor: number;
  /** Mounted over what the host has there, whose folder is bound read-only. */
  readonly over: boolean;
}

export interface ArgumentsInput {
  readonly spec: Pick<JailSpec, 'tmp_bytes' | 'home_bytes'>;
  readonly defences: Defences;
  readonly systemFolders: readonly SystemFolder[];
  /** Of the host's `/etc`, which are bound read-only. */
  readonly settings: readonly string[];
  readonly files: readonly GivenFile[];
  /** Of our own. */
  readonly links: readonly { readonly path: string; readonly target: string }[];
  /** Where bwrap finds them: real paths that its uid can reach. */
  readonly node: string;
  readonly work: string;
  readonly filterDescriptor: number;
  readonly channelDescriptor: number;
}

/** The options of bwrap (>= 0.8.0) that make the jail, for `--args`. */
export function bubblewrapArguments(input: ArgumentsInput): readonly string[] {
  const { spec, defences, work } = input;
  return [
    // Each by name: --unshare-all only tries the user namespace.
    '--unshare-user', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try',
    ...(defences.network === 'own' ? ['--unshare-net'] : []),
    ...(defences.nested_user_namespaces === 'refused' ? ['--disable-userns'] : []),
    '--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--hostname', 'jail',
    '--clearenv', '--setenv', 'NODE_CHANNEL_FD', String(input.channelDescriptor),
    '--ro-bind', '/usr', '/usr',
    ...input.systemFolders.flatMap(({ path, kind, target }) => (kind === 'link' ? ['--symlink', target ?? '', path] : ['--ro-bind', path, path])),
    ...input.settings.flatMap((path) => ['--ro-bind-try', path, path]),
    ...input.files.flatMap(({ path, descriptor, over }) => ['--perms', '0444', over ? '--ro-bind-data' : '--file', String(descriptor), path]),
    ...input.links.flatMap(({ path, target }) => ['--symlink', target, path]),
    '--proc', '/proc', '--dev', '/dev',
    '--perms', '1777', '--size', String(sharedMemoryBytes), '--tmpfs', '/dev/shm',
    '--perms', '1777', '--size', String(spec.tmp_bytes), '--tmpfs', '/tmp',
    '--perms', '0700', '--size', String(spec.home_bytes), '--tmpfs', agentHome,
    '--ro-bind', input.node, `${toolsFolder}/node`,
    // The last, and nothing inside it: a mount point below a folder that the agent writes follows the links it plants (GHSA-pxhw-h44j-8pfx).
    '--bind', work, '/work', '--chdir', '/work',
    ...(defences.root_file_system === 'read_only' ? ['--remount-ro', '/', '--remount-ro', '/dev'] : []),
    ...(defences.system_calls === 'filtered' ? ['--seccomp', String(input.filterDescriptor)] : []),
  ];
}
