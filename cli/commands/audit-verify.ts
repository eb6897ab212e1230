import type { Command } from 'commander';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { SallyportError } from '../../contracts/errors.ts';
import { readSeals } from '../../contracts/seal.ts';
import { parseVerifierKey, type NoteKey } from '../../contracts/signed-note.ts';
import type { Pinned, VerificationReport } from '../../contracts/verify.ts';
import { verifyStream } from '../audit/verify-stream.ts';
import { apiOf, dataFolderOf, dataOption, example, jsonOption, printJson, printLines, type TargetOptions } from '../command.ts';
import type { Environment } from '../config.ts';
import { sealPublicKey, sealsFile } from '../data-folder-paths.ts';
import { escapeText, painter, plural, type Paint } from '../text.ts';

/** An export takes as long as its chain is; only silence ends it. */
const silence = 120_000;

interface Options extends TargetOptions {
  readonly export?: string;
  readonly seal?: string;
  readonly key?: string;
}

export function define(command: Command, environment: Environment): void {
  dataOption(jsonOption(command))
    .option('--export <file>', 'the export to check, offline (default: the chain of the running control plane)')
    .option('--seal <file>', 'seals kept elsewhere: a note, or lines of seals.jsonl')
    .option('--key <file>', 'the public key that the seals must be signed with')
    .action((options: Options) => verify(options, environment));
  example(command, 'sallyport audit verify --export trail.jsonl --key seal.pub');
}

async function verify(options: Options, environment: Environment): Promise<void> {
  const report = options.export === undefined ? await verifyRunning(options, environment) : await verifyFile(options.export, pinnedBy(options));
  if (options.json === true) printJson(report);
  else printLines(describe(report, painter(process.stdout.isTTY && !environment.noColor)));
  if (!report.ok) process.exitCode = new SallyportError('verification_failed', '').entry.exit;
}

async function verifyFile(path: string, pinned: Pinned): Promise<VerificationReport> {
  const file = createReadStream(path, { highWaterMark: 1024 * 1024 });
  try {
    return await verifyStream(file, pinned);
  } catch (error) {
    throw readFailure('--export', path, error);
  } finally {
    file.destroy();
  }
}

/** What the data folder keeps outside the database is what the database is held against, unless other things are given. */
async function verifyRunning(options: Options, environment: Environment): Promise<VerificationReport> {
  const local = environment.remote === undefined || options.data !== undefined;
  const folder = dataFolderOf(options, environment);
  const beside = (path: string): string | undefined => local && existsSync(path) ? path : undefined;
  const seal = options.seal ?? beside(sealsFile(folder));
  const key = options.key ?? beside(sealPublicKey(folder));
  // Read before the export begins: a seal made meanwhile may be of more than the export has.
  const pinned = pinnedBy({ ...(seal !== undefined && { seal }), ...(key !== undefined && { key }) });
  return await verifyStream(await apiOf(options, environment).open('GET', '/admin/audit/export', { timeoutMs: silence }), pinned);
}

function pinnedBy({ seal, key }: Pick<Options, 'seal' | 'key'>): Pinned {
  return { key: key === undefined ? undefined : readKey(key), seals: seal === undefined ? undefined : readSealFile(seal) };
}

function readKey(path: string): NoteKey {
  const key = parseVerifierKey(readText('--key', path).trim());
  if (key === undefined) throw new SallyportError('usage', `--key ${path} does not hold a public key of a chain.`);
  return key;
}

function readSealFile(path: string): readonly string[] {
  const seals = readSeals(readText('--seal', path));
  if (seals === undefined) throw new SallyportError('usage', `--seal ${path} holds neither a seal nor lines of seals.jsonl.`);
  return seals;
}

function readText(flag: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw readFailure(flag, path, error);
  }
}

function readFailure(flag: string, path: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined || error instanceof SallyportError) return error;
  const why = code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'no permission' : code === 'EISDIR' ? 'it is a folder' : (error as Error).message;
  return new SallyportError('usage', `${flag} ${path} cannot be read: ${why}.`, { cause: error });
}

function describe(report: VerificationReport, paint: Paint): readonly string[] {
  const { ok, entries, events, shredded, seals, sealed, head, key, trusted_key, problems, problems_omitted } = report;
  const rest = entries - sealed;
  return [
    ok ? paint('green', 'The chain verifies.') : paint('red', 'The chain does not verify.'),
    ...problems.map(({ code, where, message }) => `  ${paint('red', code)} at ${where}: ${escapeText(message, 500)}`),
    ...(problems_omitted > 0 ? [`  and ${plural(problems_omitted, 'other problem')}`] : []),
    `  ${plural(entries, 'entry', 'entries')}, ${plural(events, 'event')}${shredded > 0 ? ` (${plural(shredded, 'payload')} shredded)` : ''}, ${plural(seals, 'seal')}`,
    `  head ${head.size}, root ${head.root}`,
    ...(ok && rest > 0 ? [`  ${plural(rest, 'entry', 'entries')} at the end ${rest === 1 ? 'is' : 'are'} consistent but not sealed yet`] : []),
    ...(key === undefined ? [] : [`  seals by ${escapeText(key)}${trusted_key ? '' : paint('yellow', ' (the export\'s own word: give --key to know better)')}`]),
  ];
}
