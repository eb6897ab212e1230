import { SallyportError } from '../../contracts/errors.ts';

interface Known {
  readonly text: RegExp;
  readonly meaning: string;
  readonly next: readonly string[];
}

/** What bwrap and the programs before it say when a host denies a jail, and what to do about it; exact texts of bwrap 0.8 to 0.11. */
const known: readonly Known[] = [
  {
    text: /setting up uid map: Permission denied|loopback: Failed RTM_NEWADDR: Operation not permitted/,
    meaning: 'this system lets bwrap make a user namespace but takes its rights away (AppArmor, as on Ubuntu 24.04)',
    next: [
      'Load the profile that permits bwrap: apt install apparmor-profiles, copy /usr/share/apparmor/extra-profiles/bwrap-userns-restrict to /etc/apparmor.d/, then apparmor_parser -r /etc/apparmor.d/bwrap-userns-restrict.',
      'Or lift the restriction for all programs: sysctl kernel.apparmor_restrict_unprivileged_userns=0.',
    ],
  },
  {
    text: /No permissions to creat(?:e|ing) (?:a )?new namespace|Creating new namespace failed: Operation not permitted|unshare failed: Operation not permitted/,
    meaning: 'this system permits no user namespaces: the kernel denies them to ordinary users, or a container does',
    next: [
      'Permit them: sysctl kernel.unprivileged_userns_clone=1 (older Debian), or sysctl user.max_user_namespaces=15000.',
      'In a container: start it with a seccomp profile that permits clone and unshare with namespaces (docker run --security-opt seccomp=PROFILE), or run Sallyport outside of it.',
    ],
  },
  {
    text: /nesting depth or \/proc\/sys\/user\/max_\*_namespaces exceeded/,
    meaning: 'no more namespaces can be made here: this is inside a jail already, or the limit is 0',
    next: ['Run Sallyport outside of the jail, or raise /proc/sys/user/max_user_namespaces.'],
  },
  {
    text: /Unknown option --(?:disable-userns|size|args)/,
    meaning: 'this bwrap is too old; 0.8.0 is needed',
    next: ['Install bubblewrap 0.8.0 or later (Debian 12, Ubuntu 24.04, Fedora 38 or later have it).'],
  },
  {
    text: /Can't mount proc|mount proc on|Can't mount devpts/,
    meaning: 'this container hides part of /proc, so that no new one may be mounted',
    next: ['Start the container with an unmasked /proc (docker run --security-opt systempaths=unconfined), or run Sallyport outside of it.'],
  },
  {
    text: /PR_SET_SECCOMP|Invalid seccomp data/,
    meaning: 'the kernel did not take the system call filter',
    next: ['A kernel with CONFIG_SECCOMP_FILTER is needed.'],
  },
  { text: /No space left on device|Disk quota exceeded/, meaning: 'the disk is full', next: ['Free some space.'] },
];

/** Exit codes of boot.cjs. */
const bootExits: Readonly<Record<number, string>> = {
  93: 'the boot script could not become the agent', 94: 'the boot script did not understand its order',
  95: 'the boot script lost its channel', 96: 'the boot script could not listen',
};

export const isBootFailure = (code: number | null): boolean => code !== null && Object.hasOwn(bootExits, code);

const longestTold = 400;

/** The `jail_unavailable` of a jail that ended, or said nothing, before its agent began. */
export function launchFailure(said: string, outcome: { readonly code: number | null; readonly signal: string | null } | undefined): SallyportError {
  const told = said.trim().replace(/\s+/g, ' ').slice(0, longestTold);
  const match = known.find(({ text }) => text.test(told));
  const how = outcome === undefined ? 'it did not come up in time'
    : bootExits[outcome.code ?? -1] ?? (outcome.signal === null ? `it ended with code ${outcome.code ?? 'unknown'}` : `it was ended by ${outcome.signal}`);
  const reason = match?.meaning ?? how;
  return new SallyportError('jail_unavailable', `The jail could not be built: ${reason}${told === '' ? '' : ` (${told})`}.`, match === undefined ? {} : { next_steps: match.next });
}
