import { execFileSync } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { systemClock } from '../../contracts/clock.ts';
import { parseJailSpec, type Jail, type JailEnd, type JailSpecInput } from '../../contracts/jail.ts';
import { allDefences, type Defences } from '../../sandbox/launch/defences.ts';
import { launchJail } from '../../sandbox/launch/launch-jail.ts';
import type { Lifetime } from './lifetime.ts';
import { temporaryFolder } from './temporary.ts';
import { within } from './wait.ts';

export interface JailOptions {
  readonly spec?: Partial<JailSpecInput>;
  /** Switched off to prove that a test can fail. */
  readonly without?: Partial<Defences>;
  readonly onConnection?: (socket: Socket) => void;
  readonly stdin?: string;
  /** `false`: the test reads the streams itself. */
  readonly collect?: false;
}

export interface StartedJail {
  readonly jail: Jail;
  readonly work: string;
  readonly stdout: Promise<string>;
  readonly stderr: Promise<string>;
}

export interface FinishedJail {
  readonly end: JailEnd;
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly work: string;
}

/** A jail with a fresh work folder unless `spec` names one; it is killed with its lifetime. */
export async function startTestJail(lifetime: Lifetime, argv: readonly string[], options: JailOptions = {}): Promise<StartedJail> {
  const work = options.spec?.work ?? await temporaryFolder(lifetime, 0o755);
  const spec = parseJailSpec({ run_id: 'run_test', give_work: true, ...options.spec, argv: [...argv], work });
  const jail = await launchJail(spec, { onConnection: options.onConnection ?? ((socket) => socket.destroy()) }, systemClock, { ...allDefences, ...options.without });
  lifetime.teardown(() => jail.kill());
  const [stdout, stderr] = options.collect === false ? [Promise.resolve(''), Promise.resolve('')] : [text(jail.stdout), text(jail.stderr)];
  if (options.stdin !== undefined) jail.stdin.end(options.stdin);
  return { jail, work, stdout, stderr };
}

/** The same to its end. */
export async function runInJail(lifetime: Lifetime, argv: readonly string[], options: JailOptions = {}): Promise<FinishedJail> {
  const { jail, work, stdout, stderr } = await startTestJail(lifetime, argv, options);
  const end = await within('the end of the jail', jail.exited, 60_000);
  return { end, code: end.code, stdout: await stdout, stderr: await stderr, work };
}

/** `call(number, ...)` makes a system call, `attempt(fn)` a Python call; both give `ok` or the name of the error. */
const prelude = `
import ctypes, errno, os, signal, socket, struct, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(*words):
    ctypes.set_errno(0)
    result = libc.syscall(*[ctypes.c_long(word) if isinstance(word, int) else word for word in words])
    return 'ok' if result >= 0 else errno.errorcode[ctypes.get_errno()]
def attempt(fn):
    try:
        fn()
        return 'ok'
    except socket.gaierror as problem:
        return 'EAI %d' % problem.errno
    except socket.timeout:
        return 'ETIMEDOUT'
    except OSError as problem:
        return errno.errorcode.get(problem.errno, str(problem))
def dial(family, address, kind=socket.SOCK_STREAM):
    one = socket.socket(family, kind)
    one.settimeout(3)
    one.connect(address)
    return one
`;

export const python = (script: string, ...args: readonly string[]): readonly string[] => ['/usr/bin/python3', '-c', prelude + script, ...args];

/** What a Python probe printed, without the last newline. A probe that breaks is no proof of a defence. */
export async function probe(lifetime: Lifetime, script: string, options: JailOptions & { readonly args?: readonly string[] } = {}): Promise<string> {
  const { stdout, stderr, end } = await runInJail(lifetime, python(script, ...options.args ?? []), options);
  if (/Traceback/.test(stderr)) throw new Error(`The probe broke (${JSON.stringify(end)}): ${stderr}`);
  return stdout.trimEnd();
}

/** A stand-in for the proxy: answers each request with its own name, and keeps what it saw. */
export function testProxy(lifetime: Lifetime, name: string): { readonly server: Server; readonly seen: string[]; onConnection(socket: Socket): void } {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(request.url ?? '');
    response.end(`${name}\n`);
  });
  lifetime.teardown(() => server.closeAllConnections());
  return { server, seen, onConnection: (socket) => { server.emit('connection', socket); } };
}

/** Commands of the host's git as a person would type them. */
export function hostGit(folder: string, ...args: readonly string[]): string {
  return execFileSync('git', ['-c', 'safe.directory=*', '-c', 'user.name=t', '-c', 'user.email=t@site.test', ...args], { cwd: folder, encoding: 'utf8' });
}
