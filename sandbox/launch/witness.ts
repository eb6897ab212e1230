import { readlinkSync } from 'node:fs';
import type { Identity } from '../identity.ts';
import type { WorkFolder } from '../work/folder.ts';
import type { Defences } from './defences.ts';

/** What the boot script saw from inside (boot.cjs). */
export interface Witness {
  readonly kind: 'listening';
  readonly work: { readonly device: string; readonly inode: string };
  /** `net` -> `net:[4026531840]`. */
  readonly namespaces: Readonly<Record<string, string>>;
  /** Effective, permitted, bounding, inheritable, ambient; 16 hex digits each. */
  readonly capabilities: readonly string[];
  readonly no_new_privileges: string;
  readonly seccomp: string;
  /** Real, effective, saved, file system; inside the jail, where ids are the same as outside. */
  readonly uid: string;
  readonly gid: string;
  readonly interfaces: readonly string[];
}

export function isWitness(message: unknown): message is Witness {
  const witness = message as Partial<Witness> | null | undefined;
  return typeof witness === 'object' && witness?.kind === 'listening' && typeof witness.work === 'object' && typeof witness.namespaces === 'object'
    && Array.isArray(witness.capabilities) && Array.isArray(witness.interfaces);
}

/** Seccomp mode 2 is a filter (proc(5)). */
const filtered = '2';

/**
 * What is not as it must be: the agent is not started then, whatever bwrap thought that it did. Above all the work folder must be
 * the very folder that was checked, since its name may have been given to another one in between.
 */
export function faultsIn(witness: Witness, expected: { readonly work: WorkFolder; readonly identity: Identity; readonly defences: Defences; readonly namespaces: Readonly<Record<string, string>> }): readonly string[] {
  const { work, identity, defences, namespaces } = expected;
  const faults: string[] = [];
  if (witness.work.device !== String(work.device) || witness.work.inode !== String(work.inode)) faults.push('the work folder was exchanged for another one while the jail was built');
  for (const [name, own] of Object.entries(namespaces)) {
    if (name === 'net' && defences.network === 'shared') continue;
    const theirs = witness.namespaces[name];
    if (theirs === undefined || theirs === own) faults.push(`it shares the host's ${name} namespace`);
  }
  if (witness.capabilities.length !== 5 || witness.capabilities.some((set) => !/^0+$/.test(set))) faults.push('it holds capabilities');
  if (witness.no_new_privileges !== '1') faults.push('it could gain privileges by set-id programs');
  if (defences.system_calls === 'filtered' && witness.seccomp !== filtered) faults.push('it has no system call filter');
  if (defences.network === 'own' && witness.interfaces.join() !== 'lo') faults.push(`it has the network interfaces ${witness.interfaces.join(', ')}`);
  if (witness.uid !== four(identity.uid) || witness.gid !== four(identity.gid)) faults.push(`it runs as uid ${witness.uid} and gid ${witness.gid}`);
  return faults;
}

const four = (id: number): string => Array.from({ length: 4 }, () => id).join('\t');

/** Ours, to compare with. */
export function ownNamespaces(): Readonly<Record<string, string>> {
  return Object.fromEntries(['user', 'pid', 'net', 'mnt', 'ipc', 'uts'].map((name) => [name, readlinkSync(`/proc/self/ns/${name}`)]));
}
