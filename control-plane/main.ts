import { mkdir } from 'node:fs/promises';
import { flushCompileCache } from 'node:module';
import type { Logger } from 'pino';
import { systemClock } from '../contracts/clock.ts';
import { toProblem, toSallyportError } from '../contracts/errors.ts';
import { parseConfiguration, postgresFolder, type Configuration } from './config.ts';
import type { ControlPlane } from './control-plane.ts';
import { openEmbedded, type Embedded } from './database/embedded.ts';
import type { Bundle } from './policies/commands.ts';

/** A stop that takes longer is given up: the database survives that as it survives a crash. */
const stopWithinMs = 8_000;

/** One line of what is logged, for the supervisor's log folder; `detail` is ours, never a request's content. */
interface LogLine {
  readonly code?: string | undefined;
  readonly detail: string;
  readonly about?: string;
  readonly stack?: string | undefined;
}

let logger: Promise<Logger> | undefined;

/** Read in when there is something to say, which a start rarely has. */
async function log(line: LogLine): Promise<void> {
  logger ??= import('pino').then(({ pino }) => pino({ name: 'control-plane', base: null }, pino.destination({ dest: 2, sync: true })));
  (await logger).error(line);
}

async function packedBundle(folder: string): Promise<Bundle> {
  const [{ loadBundle }, { packBundle }] = await Promise.all([import('../engine/load-bundle.ts'), import('../engine/bundle.ts')]);
  const bundle = await loadBundle(folder);
  return { revision: bundle.revision, body: Buffer.from(packBundle(bundle)) };
}

/** Compiles and starts the database's WASM module while the rest of the program is read in: a quarter of the start. */
async function beginToOpen(configuration: Configuration): Promise<Embedded> {
  await mkdir(configuration.data_folder, { recursive: true, mode: 0o700 });
  return await openEmbedded(postgresFolder(configuration));
}

function say(message: object): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send!(message, undefined, {}, () => resolve());
    else resolve();
  });
}

let starting: Promise<ControlPlane> | undefined;
let stopping = false;

async function launch(told: unknown): Promise<ControlPlane> {
  const configuration = parseConfiguration(told);
  const opening = configuration.database_url === undefined ? beginToOpen(configuration) : undefined;
  opening?.catch(() => { /* Told by the start, which awaits it. */ });
  const { startControlPlane } = await import('./control-plane.ts');
  return await startControlPlane(configuration, {
    clock: systemClock,
    onFault: (error, about) => void log({ code: error.code, detail: error.message, about, stack: error.code === 'internal' ? error.stack : undefined }),
    loadBundle: packedBundle,
    ...opening !== undefined && { embedded: () => opening },
  });
}

async function start(told: unknown): Promise<void> {
  try {
    starting = launch(told);
    const { addresses, notices } = await starting;
    await say({ type: 'ready', addresses, ...notices.length > 0 && { notices } });
    // Left to itself Node keeps its compiled code at an orderly end: after a crash everything would be compiled again.
    flushCompileCache();
  } catch (thrown) {
    const error = toSallyportError(thrown);
    await log({ code: error.code, detail: error.message, about: 'start', stack: error.code === 'internal' ? error.stack : undefined });
    await say({ type: 'failed', problem: toProblem(error) });
    process.exit(error.entry.exit);
  }
}

async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  setTimeout(() => process.exit(70), stopWithinMs).unref();
  try {
    await (await starting)?.stop();
    process.exit(0);
  } catch (error) {
    await log({ detail: String(error), about: 'stop' });
    process.exit(70);
  }
}

if (process.send === undefined) {
  await log({ detail: 'The control plane is started by `sallyport up`.' });
  process.exit(64);
}
process.once('message', (message: { type?: string; configuration?: unknown }) => {
  if (message.type === 'configuration') void start(message.configuration);
});
process.on('SIGTERM', () => void stop());
process.on('SIGINT', () => void stop());
process.on('disconnect', () => void stop());
