import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { SallyportError } from '../contracts/errors.ts';

/** What the command takes from its environment: read once, by nobody else in `cli/`. */
export interface Environment {
  /** From `SALLYPORT_DATA`, else `sallyport` in the XDG state folder. */
  readonly dataFolder: string;
  /** A control plane elsewhere; `undefined` is the one that owns the data folder. */
  readonly remote: Remote | undefined;
  readonly databaseUrl: string | undefined;
  /** By which `sallyport proxy` is known to its control plane. */
  readonly proxyToken: string | undefined;
  readonly noColor: boolean;
  /** A variable by name, to be handed to an agent by `--env NAME`. */
  variable(name: string): string | undefined;
  /** What child processes get: nothing that may hold a secret. */
  readonly forChildren: Readonly<Record<string, string>>;
}

export interface Remote {
  readonly url: URL;
  readonly key: string;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** The last three are set for agents; a command that is started by one just doesn't use them. */
const known: ReadonlySet<string> = new Set([
  'SALLYPORT_DATA', 'SALLYPORT_URL', 'SALLYPORT_API_KEY', 'SALLYPORT_PROXY_TOKEN', 'SALLYPORT_RUN_ID', 'SALLYPORT_SESSION_ID', 'SALLYPORT_TOKEN',
]);

/** Pure function of the variables; all mistakes are reported together. */
export function readEnvironment(variables: Variables = process.env): Environment {
  const errors = Object.keys(variables)
    .filter((name) => name.startsWith('SALLYPORT_') && !known.has(name))
    .map((name) => ({ path: name, message: `is not a variable of Sallyport (there are ${[...known].slice(0, 4).join(', ')})` }));

  const home = nonEmpty(variables['HOME']) ?? homedir();
  const stateHome = absolute(variables['XDG_STATE_HOME']) ?? join(home, '.local', 'state');
  const remote = readRemote(variables, errors);
  if (errors.length > 0) {
    const list = errors.map(({ path, message }) => `${path} ${message}`).join('; ');
    throw new SallyportError('configuration', `The environment has mistakes: ${list}.`, { errors });
  }
  return {
    dataFolder: resolve(nonEmpty(variables['SALLYPORT_DATA']) ?? join(stateHome, 'sallyport')),
    remote,
    databaseUrl: nonEmpty(variables['DATABASE_URL']),
    proxyToken: nonEmpty(variables['SALLYPORT_PROXY_TOKEN']),
    noColor: nonEmpty(variables['NO_COLOR']) !== undefined || variables['TERM'] === 'dumb',
    variable: (name) => variables[name],
    forChildren: Object.fromEntries(['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'SSL_CERT_FILE', 'SSL_CERT_DIR'].flatMap((name) => {
      const value = variables[name];
      return value === undefined ? [] : [[name, value]];
    })),
  };
}

function readRemote(variables: Variables, errors: { path: string; message: string }[]): Remote | undefined {
  const text = nonEmpty(variables['SALLYPORT_URL']);
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    errors.push({ path: 'SALLYPORT_URL', message: 'is not an http or https URL' });
    return undefined;
  }
  if (url.username !== '' || url.password !== '') errors.push({ path: 'SALLYPORT_URL', message: 'holds credentials (the key goes into SALLYPORT_API_KEY)' });
  // The key would cross the network readable.
  if (url.protocol === 'http:' && !['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname)) {
    errors.push({ path: 'SALLYPORT_URL', message: 'must be https, except on loopback' });
  }
  const key = nonEmpty(variables['SALLYPORT_API_KEY']);
  if (key === undefined) {
    errors.push({ path: 'SALLYPORT_API_KEY', message: 'is missing (SALLYPORT_URL needs it)' });
    return undefined;
  }
  if (!/^[\x21-\x7e]+$/.test(key)) errors.push({ path: 'SALLYPORT_API_KEY', message: 'holds characters that no key has' });
  return { url, key };
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value;
}

/** The XDG specification: a relative path is to be ignored. */
function absolute(value: string | undefined): string | undefined {
  return value !== undefined && isAbsolute(value) ? value : undefined;
}
