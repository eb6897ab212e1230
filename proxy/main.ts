import { flushCompileCache } from 'node:module';
import { systemClock } from '../contracts/clock.ts';
import { toProblem, toSallyportError, type SallyportError } from '../contracts/errors.ts';
import { parseConfiguration } from './config.ts';
import { systemRoots } from './forward/tls/roots.ts';
import { startLog } from './log.ts';
import { signals, type Signals } from './signals.ts';
import { startWorker, type Worker } from './worker.ts';

/** For exchanges that are under way when the worker is told to end; the supervisor kills it after 10 s. */
const drainMs = 5000;

/** From the supervisor, the configuration first; secrets come this way, never by argument or environment. */
type Told = { readonly type: 'configuration'; readonly configuration: unknown } | { readonly type: 'drain'; readonly milliseconds: number };

let worker: Promise<Worker> | undefined;

function tell(message: object): void {
  process.send?.(message, undefined, undefined, () => { /* A supervisor that has gone is told by 'disconnect'. */ });
}

async function start(configuration: unknown): Promise<void> {
  const parsed = parseConfiguration(configuration);
  // Whoever starts a proxy elsewhere for the first time wants to know why it doesn't get ready; later this is in the log.
  if ('url' in parsed.control_plane) signals.stream.subscribe(tellWhatItWaitsFor);
  worker = startWorker(parsed, { clock: systemClock });
  const started = await worker;
  await started.ready;
  const { address } = started;
  signals.stream.unsubscribe(tellWhatItWaitsFor);
  tell({ type: 'ready', addresses: address === undefined ? {} : { proxy: address } });
  // Left to itself Node keeps its compiled code at an orderly end: after a crash everything would be compiled again.
  flushCompileCache();
}

function tellWhatItWaitsFor(message: unknown): void {
  const { problem } = message as Signals['stream'];
  if (problem !== undefined) tell({ type: 'waiting', problem: { ...toProblem(problem), detail: problem.message } });
}

function fail(error: SallyportError): void {
  signals.fault.publish({ where: 'start', error });
  tell({ type: 'failed', problem: { ...toProblem(error), exit: error.entry.exit } });
  process.exitCode = error.entry.exit;
  process.disconnect?.();
}

async function stop(milliseconds: number): Promise<void> {
  const started = await worker?.catch(() => undefined);
  await started?.stop(milliseconds).catch((error: unknown) => signals.fault.publish({ where: 'stop', error: toSallyportError(error) }));
  process.exit();
}

startLog();
// A fault in one exchange must not end all others; what is left in doubt is refused, because nothing is sent without its record.
process.on('uncaughtException', (error) => signals.fault.publish({ where: 'uncaught', error: toSallyportError(error) }));
process.on('unhandledRejection', (error) => signals.fault.publish({ where: 'unhandled', error: toSallyportError(error) }));
process.once('SIGTERM', () => { void stop(drainMs); });
process.once('SIGINT', () => { void stop(drainMs); });
// The supervisor is dead: its successor starts a worker of its own, which waits for this one's slot.
process.once('disconnect', () => { process.exit(process.exitCode ?? 0); });
process.on('message', (message: Told) => {
  if (message.type === 'configuration') start(message.configuration).catch((error: unknown) => fail(toSallyportError(error)));
  else void stop(message.milliseconds);
});
// Node keeps what it read: 30 ms that the first request in TLS need not wait for, while the configuration is not here yet.
systemRoots();
