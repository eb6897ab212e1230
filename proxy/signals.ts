import { channel, type Channel } from 'node:diagnostics_channel';
import type { SallyportError } from '../contracts/errors.ts';

/**
 * What stages tell whoever listens (log.ts, later metrics). They say only what is listed here, so nothing secret can be logged.
 * Publishing without a subscriber costs next to nothing.
 */
export interface Signals {
  readonly denied: { readonly egress_id: string; readonly run_id: string | undefined; readonly code: string };
  readonly ended: { readonly egress_id: string; readonly run_id: string | undefined; readonly kind: string; readonly code: string | undefined };
  /** Something that should not happen. */
  readonly fault: { readonly where: string; readonly error: SallyportError };
  readonly journal: { readonly problem: SallyportError | undefined };
  readonly shipping: { readonly problem: SallyportError | undefined };
  readonly stream: { readonly problem: SallyportError | undefined };
  readonly policy: { readonly revision: string; readonly problem: SallyportError | undefined };
  readonly recovered: { readonly journal_id: string; readonly segments: number };
}

interface Typed<T> extends Channel {
  publish(message: T): void;
}

const typed = <Name extends keyof Signals>(name: Name): Typed<Signals[Name]> => channel(`sallyport:proxy:${name}`);

export const signals: { readonly [Name in keyof Signals]: Typed<Signals[Name]> } = {
  denied: typed('denied'), ended: typed('ended'), fault: typed('fault'), journal: typed('journal'), shipping: typed('shipping'),
  stream: typed('stream'), policy: typed('policy'), recovered: typed('recovered'),
};
