import { SallyportError } from '../contracts/errors.ts';

/**
 * Whom a root launcher's jails run as when the work folder belongs to root. Fixed, so that a folder once given stays usable;
 * below 65536, so that containers map it; in no range that Debian, Fedora or systemd hand out to accounts. It needs no entry in
 * /etc/passwd.
 */
export const dedicatedId = 64_333;

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export interface Identity extends Account {
  /** The launcher is root and becomes this before bwrap starts. */
  readonly dropped: boolean;
}

/** What `chooseIdentity` has to know of the host. */
export interface HostAccounts {
  readonly launcher: Account;
  /** Texts of /proc/self/uid_map and gid_map: which ids this user namespace knows. */
  readonly uidMap: string;
  readonly gidMap: string;
  /** Text of /etc/passwd. */
  readonly passwd: string;
}

/**
 * Never uid 0: `/proc/sys/kernel/core_pattern` would be writable from inside, set-id files left in the work folder would be
 * root's, and RLIMIT_NPROC would count nothing. A root launcher becomes the owner of the work folder, else `dedicatedId`.
 */
export function chooseIdentity(host: HostAccounts, owner: Account): Identity {
  if (host.launcher.uid !== 0) return { ...host.launcher, dropped: false };
  const chosen = owner.uid === 0 ? dedicated(host.passwd) : { uid: owner.uid, gid: groupOf(owner, host.passwd) };
  if (!isMapped(chosen.uid, host.uidMap) || !isMapped(chosen.gid, host.gidMap)) {
    throw new SallyportError('jail_unavailable', `Sallyport runs as root in a user namespace that has no uid ${chosen.uid} to run the agent as, and an agent never runs as root.`, {
      next_steps: ['Run sallyport as an ordinary user, or map more than one uid into this namespace (65536, as rootless containers do).'],
    });
  }
  return { ...chosen, dropped: true };
}

function dedicated(passwd: string): Account {
  const holder = entriesOf(passwd).find(({ uid }) => uid === dedicatedId);
  if (holder !== undefined && holder.name !== 'sallyport') {
    throw new SallyportError('jail_unavailable', `Uid ${dedicatedId}, which agents of root's work folders run as, belongs to the account ${holder.name} here.`, {
      next_steps: ['Choose a work folder that belongs to an ordinary user (--work DIR): the agent then runs as that user.'],
    });
  }
  return { uid: dedicatedId, gid: dedicatedId };
}

/** The account's own group rather than the folder's: a folder may belong to a group like docker's, or root's. */
function groupOf(owner: Account, passwd: string): number {
  const own = entriesOf(passwd).find(({ uid }) => uid === owner.uid)?.gid ?? owner.gid;
  return own === 0 ? dedicatedId : own;
}

export interface PasswdEntry extends Account {
  readonly name: string;
  readonly home: string;
}

export function entriesOf(passwd: string): readonly PasswdEntry[] {
  return passwd.split('\n').flatMap((line) => {
    const [name, , uid, gid, , home] = line.split(':');
    if (name === undefined || uid === undefined || gid === undefined || !/^\d+$/.test(uid) || !/^\d+$/.test(gid)) return [];
    return [{ name, uid: Number(uid), gid: Number(gid), home: home ?? '' }];
  });
}

/** Lines of `first-inside first-outside count` (user_namespaces(7)). */
function isMapped(id: number, map: string): boolean {
  return map.trim().split('\n').some((line) => {
    const [first, , count] = line.trim().split(/\s+/).map(Number);
    return first !== undefined && count !== undefined && id >= first && id < first + count;
  });
}
