import { pino } from 'pino';
import type { SallyportError } from '../contracts/errors.ts';
import { signals } from './signals.ts';

/** Refusals and outcomes are in the chain; the log is for what an operator has to know about the worker itself. */
export function startLog(): void {
  const log = pino({ level: 'info', base: { process: 'proxy' } }, pino.destination({ fd: 2, sync: true }));
  const told = (problem: SallyportError): object => ({ code: problem.code, detail: problem.message });
  subscribe('fault', ({ where, error }) => log.error({ where, ...told(error), stack: stackOf(error) }, 'fault'));
  subscribe('journal', ({ problem }) => problem === undefined ? log.info('the journal takes records again') : log.error(told(problem), 'the journal takes no records'));
  subscribe('shipping', ({ problem }) => problem === undefined ? log.info('segments are shipped again') : log.warn(told(problem), 'segments are not shipped'));
  subscribe('stream', ({ problem }) => problem === undefined ? log.info('in step with the control plane') : log.warn(told(problem), 'the stream of the control plane is down'));
  subscribe('policy', ({ revision, problem }) => problem === undefined ? log.info({ revision }, 'policy is in force') : log.error({ revision, ...told(problem) }, 'policy was not loaded'));
  subscribe('recovered', (message) => log.warn(message, 'recovered the journal of a worker that had crashed'));
}

function subscribe<Name extends keyof typeof signals>(name: Name, listener: (message: Parameters<(typeof signals)[Name]['publish']>[0]) => void): void {
  signals[name].subscribe((message) => listener(message as Parameters<(typeof signals)[Name]['publish']>[0]));
}

function stackOf(error: SallyportError): string | undefined {
  return (error.cause instanceof Error ? error.cause : error).stack;
}
