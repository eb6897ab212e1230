import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import type { Lifetime } from './lifetime.ts';
import { startSallyport, type Exit, type ProcessOptions, type TestProcess } from './process.ts';
import { temporaryFolder } from './temporary.ts';

/** One row of `egress` in a run's report (api.md). */
export interface ReportedEgress {
  readonly event_id: string;
  readonly act: string;
  readonly method: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly address: string | null;
  readonly effect: 'allow' | 'deny' | 'require_approval';
  readonly code: string | null;
  readonly rules: readonly string[];
  readonly status: number | null;
  readonly bytes_out: number;
  readonly bytes_in: number;
}

export interface Report {
  readonly v: 1;
  readonly run_id: string;
  readonly state: string;
  readonly exit_code: number;
  readonly budget: Readonly<Record<string, { readonly limit: number | null; readonly used: number }>>;
  readonly egress: readonly ReportedEgress[];
  readonly chain: { readonly size: number; readonly root: string };
}

export interface Finished extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

/** `sallyport up` with a data folder of its own, used as a person uses it: by the command and by HTTP. */
export interface Installation {
  readonly data: string;
  readonly up: TestProcess;
  /** Port of the proxy on 127.0.0.1. */
  readonly port: number;
  /** Runs a `sallyport` command to its end. */
  command(args: readonly string[], options?: ProcessOptions): Promise<Finished>;
  /** Starts one without waiting. */
  start(args: readonly string[], options?: ProcessOptions): TestProcess;
  /** `sallyport run` in a fresh work folder, and its report. */
  run(options: readonly string[], agent: readonly string[]): Promise<Finished & { readonly report: Report }>;
  /** A call of the API by the data folder's socket. */
  api<T>(method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly body: T }>;
}

export async function startInstallation(lifetime: Lifetime, options: { readonly env?: Readonly<Record<string, string>>; readonly up?: readonly string[] } = {}): Promise<Installation> {
  const data = join(await temporaryFolder(lifetime), 'd');
  const env = { ...process.env, SALLYPORT_DATA: data, ...options.env };
  const up = startSallyport(lifetime, ['up', '--listen', '127.0.0.1:0', '--api', '127.0.0.1:0', '--json', ...options.up ?? []], { env });
  const [line = ''] = await up.line(/^\{.*"ready".*\}$/, 60_000);
  const { addresses } = JSON.parse(line) as { readonly addresses: { readonly proxy: { readonly port: number } } };

  const start: Installation['start'] = (args, more = {}) => startSallyport(lifetime, args, { env, ...more });
  const command: Installation['command'] = async (args, more) => {
    const process = start(args, more);
    const exit = await process.exit(60_000);
    return { ...exit, stdout: process.stdout(), stderr: process.stderr() };
  };
  return {
    data,
    up,
    port: addresses.proxy.port,
    start,
    command,
    async run(policy, agent) {
      const folder = await temporaryFolder(lifetime, 0o755);
      const report = join(await temporaryFolder(lifetime), 'report.json');
      const finished = await command(['run', ...policy, '--work', folder, '--give-work', '--report', report, '--', ...agent]);
      const text = await readFile(report, 'utf8').catch((cause: unknown) => {
        throw new Error(`sallyport run ended with ${finished.code ?? finished.signal} and left no report:\n${finished.stderr}`, { cause });
      });
      return { ...finished, report: JSON.parse(text) as Report };
    },
    api: (method, path, body) => callApi(join(data, 'api.sock'), method, path, body),
  };
}

function callApi<T>(socketPath: string, method: string, path: string, body: unknown): Promise<{ status: number; body: T }> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const outgoing = request({ socketPath, method, path, ...(text !== undefined && { headers: { 'content-type': 'application/json' } }) }, (response) => {
      let answer = '';
      response.setEncoding('utf8').on('data', (chunk: string) => { answer += chunk; });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: (answer === '' ? undefined : JSON.parse(answer)) as T }));
      response.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end(text);
  });
}
