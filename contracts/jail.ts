import type { Server, Socket } from 'node:net';
import { z } from 'zod';
import { SallyportError } from './errors.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

const withoutNul = (text: string): boolean => !text.includes('\0');
const text = z.string().refine(withoutNul, 'must not contain a NUL byte');
/** The kernel takes no single argument or variable above 128 KiB (MAX_ARG_STRLEN), its NUL included. */
const word = text.refine((value) => Buffer.byteLength(value) < 128 * KiB, 'is longer than 128 KiB');
const bytes = (least: number, most: number): z.ZodInt => z.int().min(least).max(most);

/**
 * What one jail is to be. Whatever is not named here the agent does not get: no host file but `work` (read-write, at `/work`)
 * and the system's programs (read-only), no network but the listener at 127.0.0.1:3128, no variable but `env` and our own.
 */
export const jailSpecSchema = z.strictObject({
  /** Looked up in the jail's `PATH`. A first word with `=` or a leading `-` would be read by env(1) as something else. */
  argv: z.array(word).min(1).max(4096)
    .refine(([program]) => program !== undefined && /^[^-=][^=]*$/.test(program), 'must begin with a program whose name holds no "=" and no leading "-"')
    .refine((words) => words.reduce((sum, one) => sum + Buffer.byteLength(one) + 1, 0) <= MiB, 'is longer than 1 MiB altogether'),
  /** Added to the jail's own variables; naming one of those again is a mistake, except `PATH`, `TERM`, `LANG` and `TZ`. */
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is no name of a variable'), word).default({}),
  /** Shown to the agent as `SALLYPORT_RUN_ID`. */
  run_id: z.string().regex(/^[A-Za-z0-9_-]{1,80}$/),
  /** Absolute path of the only folder that the agent shares with the host. */
  work: text.refine((path) => path.startsWith('/'), 'must be an absolute path'),
  /** Hand the work folder to the uid that the agent runs as, where it could not write there otherwise. Root launchers only. */
  give_work: z.boolean().default(false),
  /** Folders and files of the host that the work folder must neither contain nor lie in, such as our data folder. */
  keep_out: z.array(text.refine((path) => path.startsWith('/'), 'must be an absolute path')).max(64).default([]),
  /** What the agent's programs are to trust beside the public authorities. Left out where nobody looks into TLS. */
  trust: z.strictObject({
    /** PEM, one or more. */
    ca: text.max(64 * KiB).refine((pem) => pem.includes('-----BEGIN CERTIFICATE-----'), 'holds no certificate')
      .refine((pem) => !pem.includes('PRIVATE KEY'), 'holds a private key, which no jail may see'),
  }).optional(),
  memory_bytes: bytes(64 * MiB, 1024 * GiB).default(4 * GiB),
  /** Processes and threads. */
  pids: z.int().min(16).max(32_768).default(512),
  /** Size of `/tmp`. What is stored there counts as memory too. */
  tmp_bytes: bytes(MiB, 256 * GiB).default(GiB),
  /** Size of the home folder, `/home/agent`; gone with the jail. */
  home_bytes: bytes(MiB, 256 * GiB).default(GiB),
  /** Most that the work folder may grow by; the jail is killed when it is seen to be more. */
  work_quota_bytes: bytes(MiB, 1024 * GiB).optional(),
  /** Processor cores, `0.5` is half of one. Refused where no cgroup can hold it. */
  cpu: z.number().min(0.05).max(1024).optional(),
  /** `deny`: no Unix socket can be made, so that none in the work folder can be reached either. */
  unix_sockets: z.enum(['allow', 'deny']).default('allow'),
});

export type JailSpec = z.infer<typeof jailSpecSchema>;
/** As callers write it: everything but `argv`, `run_id` and `work` has a default. */
export type JailSpecInput = z.input<typeof jailSpecSchema>;

/** Throws `jail_spec` with every mistake. */
export function parseJailSpec(input: JailSpecInput): JailSpec {
  const parsed = jailSpecSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.map((issue) => ({ path: issue.path.join('.') || 'jail', message: issue.message }));
  throw new SallyportError('jail_spec', `The jail is described wrongly: ${errors.map(({ path, message }) => `${path}: ${message}`).join('; ')}.`, { errors });
}

/** What holds a limit: the kernel at once (`cgroup_v2`, `cgroup_v1`, `rlimit`), a watcher that looks a few times a second, or nothing. */
export type LimitKeeper = 'cgroup_v2' | 'cgroup_v1' | 'rlimit' | 'watcher' | 'none';

/** What a started jail really is, as seen from inside before the agent began. */
export interface JailFacts {
  /** As the host sees them. */
  readonly uid: number;
  readonly gid: number;
  /** True when the launcher is root and gave its rights up for the jail. */
  readonly dropped: boolean;
  readonly work: string;
  readonly agent_pid: number;
  readonly limits: { readonly memory: LimitKeeper; readonly pids: LimitKeeper; readonly cpu: LimitKeeper; readonly work: LimitKeeper };
  /** For a person: what is allowed and yet worth knowing, such as a socket in the work folder. */
  readonly warnings: readonly string[];
}

/** A file that git on the host would act on, and that differs from before the run. */
export interface GitChange {
  /** Relative to the work folder. */
  readonly path: string;
  readonly change: 'added' | 'changed' | 'removed';
  /** What it makes git run or obey, as `core.fsmonitor = ...`; empty when nothing we know of. */
  readonly runs: readonly string[];
}

export type JailEnding = 'agent' | 'stop' | 'kill' | 'memory_limit' | 'work_quota';

export interface JailEnd {
  /** The agent's exit code (128 + signal number when a signal ended it, as a shell says it); `undefined` when the whole jail was killed. */
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  readonly ended_by: JailEnding;
  /** Processes that the kernel killed for want of memory. */
  readonly memory_kills: number;
  readonly git_changes: readonly GitChange[];
  /** For a person: what the agent left in the work folder that the host should not trust, and what could not be looked at. */
  readonly warnings: readonly string[];
}

export interface JailHooks {
  /** Each connection that the agent opens to 127.0.0.1:3128. Half-open is allowed: end both sides. Attached before the agent starts. */
  onConnection(socket: Socket): void;
}

/** A started agent. Nothing of it outlives the process that started it. */
export interface Jail {
  readonly facts: JailFacts;
  /** Lives in the jail's network namespace; closing it leaves the agent without any route. */
  readonly listener: Server;
  readonly stdin: NodeJS.WritableStream;
  /** Read both to their end: a full pipe stops the agent. */
  readonly stdout: NodeJS.ReadableStream;
  readonly stderr: NodeJS.ReadableStream;
  /** Settles when no process of the jail is left; never rejects. */
  readonly exited: Promise<JailEnd>;
  /** SIGTERM to the agent's own process, and after `graceMs` a kill. */
  stop(graceMs: number): Promise<JailEnd>;
  /** Closes the listener, then ends every process of the jail at once. */
  kill(): Promise<JailEnd>;
}
