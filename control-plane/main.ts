import { pino } from 'pino';
import { systemClock } from '../contracts/clock.ts';
import { toProblem, toSallyportError } from '../contracts/errors.ts';
import { packBundle } from '../engine/bundle.ts';
import { loadBundle } from '../engine/load-bundle.ts';
import { parseConfiguration } from './config.ts';
import { startControlPlane, type ControlPlane } from './control-plane.ts';
import type { Bundle } from './policies/commands.ts';

/** A stop that takes longer is given up: the database survives that as it survives a crash. */
const stopWithinMs = 8_000;

// To standard error, which the supervisor puts into the log folder.
const log = pino({ name: 'control-plane', base: null }, pino.destination({ dest: 2, sync: true }));

async function packedBundle(folder: string): Promise<Bundle> {
  const bundle = await loadBundle(folder);
  return { revision: bundle.revision, body: Buffer.from(packBundle(bundle)) };
}

function say(message: object): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send!(message, undefined, {}, () => resolve());
    else resolve();
  });
}

let starting: Promise<ControlPlane> | undefined;
let stopping = false;

async function start(configuration: unknown): Promise<void> {
  try {
    starting = startControlPlane(parseConfiguration(configuration), {
      clock: systemClock,
      // `detail` of ours, never a request's content.
      onFault: (error, about) => { log.error({ code: error.code, detail: error.message, about, stack: error.code === 'internal' ? error.stack : undefined }); },
      loadBundle: packedBundle,
    });
    const { addresses, notices } = await starting;
    await say({ type: 'ready', addresses, ...notices.length > 0 && { notices } });
  } catch (thrown) {
    const error = toSallyportError(thrown);
    log.error({ code: error.code, detail: error.message, about: 'start', stack: error.code === 'internal' ? error.stack : undefined });
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
    log.error({ detail: String(error), about: 'stop' });
    process.exit(70);
  }
}

if (process.send === undefined) {
  log.error({ detail: 'The control plane is started by `sallyport up`.' });
  process.exit(64);
}
process.once('message', (message: { type?: string; configuration?: unknown }) => {
  if (message.type === 'configuration') void start(message.configuration);
});
process.on('SIGTERM', () => void stop());
process.on('SIGINT', () => void stop());
process.on('disconnect', () => void stop());
