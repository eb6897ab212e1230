import { execFile, type ExecFileException } from 'node:child_process';
import { answer, readJob, type LoadResult } from './job.ts';

/** Runs programs that know of no proxy, all at the same time, each led through it by `connect-through.c`, and reads what they print. */
export interface TlsToolsJob {
  readonly program: string;
  readonly kind: 'h2load' | 's_time';
  readonly args: readonly string[];
  readonly processes: number;
  readonly seconds: number;
  /** For the programs. */
  readonly environment: Readonly<Record<string, string>>;
  /** Bytes of a body. */
  readonly bytes: number;
}

const { program, kind, args, processes, seconds, environment, bytes } = await readJob<TlsToolsJob>();

interface Printed {
  readonly count: number;
  readonly seconds: number;
  readonly problem: string | null;
}

function run(): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, [...args], { env: { ...process.env, ...environment }, maxBuffer: 1 << 26, encoding: 'latin1' }, (error: ExecFileException | null, stdout, stderr) => {
      // openssl ends with 1 when its time is over in the middle of a handshake.
      if (error !== null && (typeof error.code !== 'number' || kind === 'h2load')) reject(error);
      else resolve(`${stdout}\n${stderr}`);
    });
  });
}

function readH2load(text: string): Printed {
  const [, took = '0', unit] = /finished in ([0-9.]+)(m?s)/.exec(text) ?? [];
  const [, done = '0', failed = '1', errored = '1', late = '1'] = /(\d+) done, \d+ succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/.exec(text) ?? [];
  // Those that are under way at the end have their status counted, and nothing else.
  const [, good = '0', ...others] = /status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/.exec(text) ?? [];
  const wrong = [failed, errored, late, ...others].reduce((sum, number) => sum + Number(number), 0);
  const problem = Number(done) === 0 ? `h2load had no answer: ${text.slice(-300)}` : wrong > 0 ? `h2load: ${done} done, ${good} were 2xx, ${wrong} failed or were others` : null;
  return { count: Number(done), seconds: Number(took) / (unit === 'ms' ? 1000 : 1), problem };
}

/** Its heads are of a few hundred bytes, so a body that is missing shows. */
function readSTime(text: string): Printed {
  const [, count = '0', took = '0', each = '0'] = /(\d+) connections in (\d+) real seconds, (\d+) bytes read per connection/.exec(text) ?? [];
  return { count: Number(count), seconds: Number(took), problem: Number(count) === 0 ? `openssl made no connection: ${text.slice(-300)}` : Number(each) < bytes ? `an answer has ${each} bytes` : null };
}

const began = performance.now();
const printed = (await Promise.all(Array.from({ length: processes }, run))).map(kind === 'h2load' ? readH2load : readSTime);
const problems = printed.flatMap(({ problem }) => problem ?? []);
const result: LoadResult = {
  count: printed.reduce((sum, { count }) => sum + count, 0),
  // A second of openssl ends with the connection that is under way.
  seconds: kind === 'h2load' ? Math.max(...printed.map((one) => one.seconds)) : Math.max(seconds, (performance.now() - began) / 1000),
  wrong: problems.length, problem: problems[0] ?? null,
};
answer(result);
process.exit();
