import { SallyportError } from '../../contracts/errors.ts';
import { answer, assemble, ifAnyBit, ifAtLeast, ifEqual, label, loadAt, type Instruction } from './bpf.ts';
import { absent, firstUnknown, forbidden, judged } from './system-calls.ts';

/** Offsets in `struct seccomp_data`; of each argument its low half, which both architectures store first. */
const numberAt = 0;
const architectureAt = 4;
const argumentAt = (index: number): number => 16 + 8 * index;

const kill = 0x80000000;
const allow = 0x7fff0000;
const fail = (errno: number): number => 0x00050000 | errno;
const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

/** AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64 (linux/audit.h). */
const architectures = { x64: { column: 0, audit: 0xc000003e }, arm64: { column: 1, audit: 0xc00000b7 } } as const;
type Architecture = keyof typeof architectures;

/** x32 programs call with this bit set and would pass every comparison below. */
const x32Bit = 0x40000000;
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. (NEWTIME cannot be asked of clone: its bit is the exit signal's.) */
const namespaceFlags = 0x7e020000;
const family = { unix: 1, inet: 2, inet6: 10, netlink: 16 } as const;
const netlinkRoute = 0;
/** They type into the terminal of whoever started us. */
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
/** PER_LINUX, its two harmless variants with and without ADDR_NO_RANDOMIZE off, UNAME26, and the query; as Docker has it. */
const personalities = [0, 8, 0x20000, 0x20008, 0x40000, 0xffffffff] as const;

export interface FilterOptions {
  readonly unix_sockets: 'allow' | 'deny';
}

/** True where `seccompFilter` knows the system calls of this architecture, as `process.arch` names it. */
export const isKnownArchitecture = (architecture: string): architecture is Architecture => Object.hasOwn(architectures, architecture);

/**
 * The seccomp program of every jail, for `bwrap --seccomp`. Another architecture than its own (i386 by `int 0x80`) is killed;
 * what it does not know fails with ENOSYS.
 */
export function seccompFilter(architecture: string, { unix_sockets }: FilterOptions): Buffer {
  if (!isKnownArchitecture(architecture)) {
    throw new SallyportError('jail_unavailable', `There is no system call filter for the processor architecture ${architecture}, only for x64 and arm64.`);
  }
  const { column, audit } = architectures[architecture];
  const numbersOf = (calls: Readonly<Record<string, readonly [number, number | undefined]>>): number[] => Object.values(calls)
    .flatMap((numbers) => numbers[column] ?? []);
  const program: Instruction[] = [
    loadAt(architectureAt), ifEqual(audit, undefined, 'kill'),
    loadAt(numberAt),
    ...(architecture === 'x64' ? [ifAtLeast(x32Bit, 'absent')] : []),
    ifAtLeast(firstUnknown, 'absent'),
    ...Object.entries(judged).map(([name, numbers]) => ifEqual(numbers[column], name)),
    ...numbersOf(absent).map((number) => ifEqual(number, 'absent')),
    ...numbersOf(forbidden).map((number) => ifEqual(number, 'forbidden')),
    answer(allow),

    label('socket'), loadAt(argumentAt(0)),
    ifEqual(family.inet, 'allow'), ifEqual(family.inet6, 'allow'),
    ...(unix_sockets === 'allow' ? [ifEqual(family.unix, 'allow')] : []),
    // os.networkInterfaces and getaddrinfo ask for it; changes are refused for want of capabilities.
    ifEqual(family.netlink, undefined, 'no_such_family'), loadAt(argumentAt(2)), ifEqual(netlinkRoute, 'allow', 'no_such_family'),

    label('clone'), loadAt(argumentAt(0)), ifAnyBit(namespaceFlags, 'forbidden', 'allow'),
    label('ioctl'), loadAt(argumentAt(1)), ifEqual(TIOCSTI, 'forbidden'), ifEqual(TIOCLINUX, 'forbidden', 'allow'),
    label('personality'), loadAt(argumentAt(0)), ...personalities.map((value) => ifEqual(value, 'allow')), answer(fail(EPERM)),

    label('allow'), answer(allow),
    label('absent'), answer(fail(ENOSYS)),
    label('no_such_family'), answer(fail(EAFNOSUPPORT)),
    label('forbidden'), answer(fail(EPERM)),
    label('kill'), answer(kill),
  ];
  return assemble(program);
}
