import { channel, type Channel } from 'node:diagnostics_channel';
import type { SallyportError } from '../contracts/errors.ts';

/**
 * What stages tell whoever listens (log.ts, metrics/). They say only what is listed here, so nothing secret can be logged.
 * Publishing without a subscriber costs next to nothing.
 */
export interface Signals {
  /** `rule` where a decision stands behind it. */
  readonly denied: { readonly egress_id: string; readonly run_id: string | undefined; readonly code: string; readonly effect: string; readonly rule: string | undefined };
  /** `inside`: a CONNECT whose inside is judged. `waited`: the control plane had to be asked for units. `added_ms` since the head was read. */
  readonly permitted: { readonly act: 'http' | 'tunnel' | 'inside'; readonly effect: string; readonly rule: string; readonly waited: boolean; readonly added_ms: number };
  readonly ended: {
    readonly egress_id: string; readonly run_id: string | undefined; readonly act: 'http' | 'tunnel'; readonly kind: string; readonly code: string | undefined;
    readonly bytes_out: number; readonly bytes_in: number; readonly first_byte_ms: number | undefined;
  };
  /** A draw on a budget was answered, or not. */
  readonly drawn: { readonly outcome: 'answered' | 'failed'; readonly took_ms: number };
  /** A revision is in force, cannot be used, or is not wanted any more. */
  readonly loaded: { readonly took_ms: number };
  /** Something of `sallyport.internal` was answered. */
  readonly internal: { readonly status: number };
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
  permitted: typed('permitted'), drawn: typed('drawn'), loaded: typed('loaded'), internal: typed('internal'),
};
