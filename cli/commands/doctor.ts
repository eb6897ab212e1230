import type { Command } from 'commander';
import { existsSync } from 'node:fs';
import { SallyportError, toSallyportError } from '../../contracts/errors.ts';
import { systemRoots } from '../../proxy/forward/tls/roots.ts';
import { viewAuthorities } from '../../proxy/intercept/authority/authorities.ts';
import { inspectHost, type HostCheck } from '../../sandbox/doctor.ts';
import { apiOf, dataFolderOf, dataOption, example, jsonOption, printJson, printLines, type TargetOptions } from '../command.ts';
import type { Environment } from '../config.ts';
import { compilerPath } from '../policy/compiler.ts';
import { escapeText, painter } from '../text.ts';
import { inspectDataFolder } from '../up/data-folder.ts';

export function define(command: Command, environment: Environment): void {
  dataOption(jsonOption(command)).action((options: TargetOptions) => doctor(options, environment));
  example(command, 'sallyport doctor');
}

async function doctor(options: TargetOptions, environment: Environment): Promise<void> {
  const { can_jail, checks: host } = await inspectHost();
  const checks: readonly HostCheck[] = [
    ...host,
    check('node', 'ok', `This is Node ${process.versions.node}.`),
    checkDataFolder(dataFolderOf(options, environment)),
    checkAuthority(dataFolderOf(options, environment)),
    checkRoots(),
    await checkControlPlane(options, environment),
    checkDatabase(environment),
    checkCompiler(),
  ];
  const ok = checks.every(({ status }) => status !== 'missing');
  if (options.json === true) printJson({ ok, can_jail, checks });
  else {
    const paint = painter(process.stdout.isTTY && !environment.noColor);
    const words = { ok: paint('green', 'ok     '), limited: paint('yellow', 'limited'), missing: paint('red', 'missing') };
    printLines([
      ...checks.flatMap(({ name, status, found, next }) => [`${words[status]}  ${name}: ${escapeText(found, 500)}`, ...next.map((step) => `         ${escapeText(step, 500)}`)]),
      '', can_jail ? 'Agents can be jailed here.' : 'No agent can be jailed here; sallyport run starts none.',
    ]);
  }
  if (!ok) process.exitCode = new SallyportError('missing_tool', '').entry.exit;
}

const check = (name: string, status: HostCheck['status'], found: string, next: readonly string[] = []): HostCheck => ({ name, status, found, next });

function checkDataFolder(folder: string): HostCheck {
  try {
    return check('data folder', 'ok', inspectDataFolder(folder) ? `${folder} is yours alone.` : `${folder} is not there yet; the first run makes it.`);
  } catch (thrown) {
    const error = toSallyportError(thrown);
    return check('data folder', 'missing', error.message, error.extras.next_steps ?? [error.entry.next]);
  }
}

/** The data folder itself is another check's. */
function checkAuthority(folder: string): HostCheck {
  try {
    const signing = existsSync(folder) ? viewAuthorities(folder, Date.now()).find(({ role }) => role === 'signs') : undefined;
    return check('authority', 'ok', signing === undefined ? 'There is none yet; sallyport up or the first run makes it.' : `Sallyport CA ${signing.id} vouches for the proxy where it looks into TLS.`);
  } catch (thrown) {
    const error = toSallyportError(thrown);
    return check('authority', 'missing', error.message, error.extras.next_steps ?? [error.entry.next]);
  }
}

function checkRoots(): HostCheck {
  const { length } = systemRoots();
  return length > 0
    ? check('roots', 'ok', `This system trusts ${length} authorities; by them origins in TLS are verified.`)
    : check('roots', 'limited', 'This system trusts no authority, so where TLS is looked into no origin can be verified.', ['Install the package ca-certificates, or give sallyport up some by --upstream-ca FILE.']);
}

async function checkControlPlane(options: TargetOptions, environment: Environment): Promise<HostCheck> {
  const api = apiOf(options, environment);
  try {
    await api.call('GET', '/healthz', { timeoutMs: 5000 });
    return check('control plane', 'ok', `It answers at ${api.target}.`);
  } catch (thrown) {
    const error = toSallyportError(thrown);
    // Without one, a run starts its own.
    return environment.remote === undefined && error.code === 'control_plane_unreachable'
      ? check('control plane', 'ok', 'None runs; sallyport run starts one, sallyport up one that stays.')
      : check('control plane', 'missing', error.message, [error.entry.next]);
  }
}

function checkDatabase(environment: Environment): HostCheck {
  return environment.databaseUrl === undefined
    ? check('database', 'limited', 'PGlite in the data folder: it survives crashes of processes, not of the machine (it never calls fsync; journals and seals do).', ['For more, set DATABASE_URL to a Postgres database.'])
    : check('database', 'ok', 'DATABASE_URL names a Postgres database.');
}

function checkCompiler(): HostCheck {
  return existsSync(compilerPath)
    ? check('policy compiler', 'ok', 'It is installed.')
    : check('policy compiler', 'limited', 'It is not installed; only changing Rego needs it.', ['Run npm run setup.']);
}
