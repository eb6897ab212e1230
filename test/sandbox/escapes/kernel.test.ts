/** Ways out through the kernel. Those that the filter closes are tried once more without it, to prove that the try would go further. */
import { chmodSync, chownSync, copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { absent, forbidden, judged } from '../../../sandbox/seccomp/system-calls.ts';
import type { Defences } from '../../../sandbox/launch/defences.ts';
import { descendantsOf } from '../../../sandbox/processes.ts';
import { probe, runInJail, startTestJail } from '../../helpers/jail.ts';
import { needs } from '../../helpers/needs.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { event } from '../../helpers/wait.ts';

const test = needs('jail', 'command python3');

const open = { system_calls: 'open' } as const;
const openNested = { system_calls: 'open', nested_user_namespaces: 'possible' } as const;

type Call = keyof typeof judged | keyof typeof absent | keyof typeof forbidden;
const numbers = { ...judged, ...absent, ...forbidden };
const column = process.arch === 'x64' ? 0 : 1;
const nr = (call: Call): number => numbers[call][column] ?? -1;
const NEWUSER = 0x10000000;
const NEWNS = 0x20000;
const NEWNET = 0x40000000;

interface Try {
  readonly title: string;
  readonly script: string;
  readonly expected: string;
  readonly without?: Partial<Defences>;
  /** What the try gives without the defence. */
  readonly instead?: RegExp;
}

const one = (call: Call, ...words: readonly (number | string)[]): string => `print(call(${[nr(call), ...words].join(', ')}))`;

const tries: readonly Try[] = [
  { title: 'unshare of a user namespace', script: one('unshare', NEWUSER), expected: 'EPERM', without: openNested, instead: /^ok$/ },
  { title: 'unshare of a network namespace', script: one('unshare', NEWNET), expected: 'EPERM' },
  {
    title: 'clone into a user namespace',
    script: `r = libc.syscall(ctypes.c_long(${nr('clone')}), ctypes.c_long(${NEWUSER} | 17), 0, 0, 0, 0)
if r == 0: os._exit(0)
print('ok' if r > 0 else errno.errorcode[ctypes.get_errno()])`,
    expected: 'EPERM', without: openNested, instead: /^ok$/,
  },
  { title: "setns into the first process' namespaces", script: `fd = os.open('/proc/1/ns/mnt', os.O_RDONLY)\n${one('setns', 'fd', 0)}`, expected: 'EPERM' },
  {
    title: 'a mount in a namespace of its own',
    script: `a = call(${nr('unshare')}, ${NEWUSER} | ${NEWNS})\nb = call(${nr('mount')}, b'none', b'/tmp', b'tmpfs', 0, 0)\nprint(a, b)`,
    expected: 'EPERM EPERM', without: openNested, instead: /^ok ok$/,
  },
  ...(['umount2', 'pivot_root', 'chroot', 'open_tree', 'move_mount', 'fsopen', 'fsmount', 'mount_setattr'] as const).map((call): Try => (
    { title: call, script: one(call, "b'/tmp'", "b'/tmp'", 0, 0, 0), expected: 'EPERM' })),
  // PTRACE_SEIZE of the jail's first process, which has our uid.
  { title: 'ptrace', script: one('ptrace', 0x4206, 1, 0, 0), expected: 'EPERM', without: open, instead: /^ok$/ },
  { title: 'process_vm_readv of another process', script: `child = os.fork()
if child == 0: signal.pause()
buffer = ctypes.create_string_buffer(8)
vector = struct.pack('PN', ctypes.addressof(buffer), 8)
print(call(${nr('process_vm_readv')}, child, vector, 1, vector, 1, 0))
os.kill(child, 9)`, expected: 'EPERM', without: open, instead: /^ok$/ },
  { title: "the host's session keyring", script: one('keyctl', 0, -3, 0, 0, 0), expected: 'EPERM', without: open, instead: /^(?!EPERM)/ },
  { title: 'add_key', script: one('add_key', "b'user'", "b'x'", "b'y'", 1, -2), expected: 'EPERM', without: open, instead: /^(?!EPERM)/ },
  { title: 'bpf', script: one('bpf', 0, 0, 0), expected: 'EPERM' },
  { title: 'perf_event_open', script: one('perf_event_open', 0, 0, -1, -1, 0), expected: 'EPERM', without: open, instead: /^(?!EPERM)/ },
  { title: 'userfaultfd', script: one('userfaultfd', 1), expected: 'EPERM', without: open, instead: /^ok$/ },
  { title: 'name_to_handle_at', script: one('name_to_handle_at', -100, "b'/work'", 0, 0, 0), expected: 'EPERM', without: open, instead: /^(?!EPERM)/ },
  { title: 'open_by_handle_at', script: one('open_by_handle_at', 3, 0, 0), expected: 'EPERM' },
  { title: 'io_uring', script: `parameters = ctypes.create_string_buffer(120)\n${one('io_uring_setup', 4, 'parameters')}`, expected: 'ENOSYS', without: open, instead: /^ok$/ },
  { title: 'clone3', script: one('clone3', 0, 0), expected: 'ENOSYS', without: open, instead: /^EINVAL$/ },
  { title: 'a system call that is newer than the filter', script: 'print(call(468, -1, 0, 0, 0, 0))', expected: 'ENOSYS' },
  { title: 'READ_IMPLIES_EXEC', script: one('personality', 0x0400000), expected: 'EPERM', without: open, instead: /^ok$/ },
  { title: 'setting the clock', script: one('clock_settime', 0, 'ctypes.create_string_buffer(16)'), expected: 'EPERM' },
  { title: 'another host name', script: one('sethostname', "b'x'", 1), expected: 'EPERM' },
  { title: "the kernel's log", script: one('syslog', 3, 'ctypes.create_string_buffer(64)', 64), expected: 'EPERM' },
  { title: 'set-uid to root', script: 'print(attempt(lambda: os.setuid(0)))', expected: 'EINVAL' },
  { title: 'a file for root', script: "open('/work/f', 'w').close(); print(attempt(lambda: os.chown('/work/f', 0, 0)))", expected: 'EINVAL' },
  { title: 'a device', script: "print(attempt(lambda: os.mknod('/work/d', 0o20666, os.makedev(1, 1))))", expected: 'EPERM' },
  { title: 'the core pattern', script: "print(attempt(lambda: open('/proc/sys/kernel/core_pattern', 'w')))", expected: 'EACCES' },
  { title: 'forwarding of packets', script: "print(attempt(lambda: open('/proc/sys/net/ipv4/ip_forward', 'w')))", expected: 'EACCES' },
  { title: 'the overcommit setting', script: "print(attempt(lambda: open('/proc/sys/vm/overcommit_memory', 'w')))", expected: 'EACCES' },
  { title: 'a higher limit', script: `print(call(${process.arch === 'x64' ? 302 : 261}, 0, 7, struct.pack('QQ', 1 << 20, 1 << 20), 0))`, expected: 'EPERM' },
  // TIOCSTI and TIOCLINUX on a terminal of our own: the filter goes by the request.
  ...([['TIOCSTI', 0x5412], ['TIOCLINUX', 0x541c]] as const).map(([name, request]): Try => ({
    title: name,
    script: `import pty, fcntl\nleader, follower = pty.openpty()\nos.setsid() if os.getpid() != os.getsid(0) else None\nfcntl.ioctl(follower, 0x540e, 0)\nprint(attempt(lambda: fcntl.ioctl(follower, ${request}, b'x')))`,
    expected: 'EPERM', without: open, instead: /^(?!EPERM)/,
  })),
];

for (const { title, script, expected, without, instead } of tries) {
  test.serial(`refused: ${title}`, async (t) => {
    t.is(await probe(t, script), expected);
    if (without !== undefined && instead !== undefined) t.regex(await probe(t, script, { without }), instead);
  });
}

if (process.arch === 'x64') {
  test.serial('refused: the x32 system calls', async (t) => {
    t.is(await probe(t, 'print(call(0x40000000 + 39))'), 'ENOSYS');
  });

  // mov eax, 20 (getpid); int 0x80; ret
  const i386 = `
import mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex('b814000000cd80c3'))
print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))() == os.getpid())`;

  test.serial('a system call of i386 ends the process', async (t) => {
    const shielded = await runInJail(t, ['/usr/bin/python3', '-c', `import ctypes, os${i386}`]);
    t.is(shielded.code, 128 + 31);
    t.is(shielded.stdout, '');
    const unshielded = await runInJail(t, ['/usr/bin/python3', '-c', `import ctypes, os${i386}`], { without: open });
    t.is(unshielded.stdout.trim(), 'True');
  });
}

test.serial('bwrap inside the jail makes no second one', async (t) => {
  const { code, stderr } = await runInJail(t, ['bwrap', '--unshare-all', '--ro-bind', '/', '/', 'true']);
  t.not(code, 0);
  t.regex(stderr, /namespace|bwrap/);
  t.is((await runInJail(t, ['bwrap', '--unshare-user', '--ro-bind', '/', '/', 'true'], { without: openNested })).code, 0);
});

test.serial('no process of the jail has capabilities, can gain any, or is without the filter; not its first one either', async (t) => {
  const script = `
for pid in ('self', '1'):
    status = dict(line.split(':\\t') for line in open(f'/proc/{pid}/status').read().splitlines())
    print(*[status[key] for key in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp')])`;
  const none = '0000000000000000';
  const line = [none, none, none, none, none, '1', '2'].join(' ');
  t.is(await probe(t, script), `${line}\n${line}`);
});

test.serial("a set-uid program of another user runs as the agent's own uid", async (t) => {
  const work = await temporaryFolder(t, 0o755);
  mkdirSync(join(work, 'bin'));
  const program = join(work, 'bin', 'id');
  copyFileSync('/usr/bin/id', program);
  if (process.getuid?.() === 0) {
    chownSync(work, 64_333, 64_333);
    chownSync(program, 0, 0);
  }
  chmodSync(program, 0o6755);
  const { stdout } = await runInJail(t, ['sh', '-c', '/work/bin/id -u; id -u; /work/bin/id -g; id -g'], { spec: { work, give_work: false } });
  const [uid, ownUid, gid, ownGid] = stdout.trim().split('\n');
  t.is(uid, ownUid);
  t.is(gid, ownGid);
  t.not(uid, '0');
});

test.serial("the host sees the agent, and all that it starts, under the uid that the jail's facts tell, which is never 0", async (t) => {
  const { jail, stdout } = await startTestJail(t, ['sh', '-c', 'sleep 100 & echo ready; wait']);
  await event('the agent', jail.stdout, 'data');
  t.not(jail.facts.uid, 0);
  const family = descendantsOf(jail.facts.agent_pid);
  t.is(family.length, 2);
  for (const { pid } of family) t.is(/^Uid:\t(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1], Array.from({ length: 4 }, () => jail.facts.uid).join('\t'));
  await jail.kill();
  t.is(await stdout, 'ready\n');
});
