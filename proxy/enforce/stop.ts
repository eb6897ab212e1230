import type { SallyportError } from '../../contracts/errors.ts';
import type { DenialCode } from '../denial.ts';
import { nowhere, type Enlisted } from '../roster.ts';

/** Why a live exchange has to end. */
export interface StopReason {
  readonly code: DenialCode;
  readonly detail: string;
}

/** What `forward/` sees of the signal by which an exchange is told to end. */
export interface StopSignal {
  /** Set once, before `onStop` is called. */
  readonly reason: StopReason | undefined;
  /** Called once when the exchange must end; of whoever has the exchange in hand. */
  onStop: (() => void) | undefined;
}

/** One live permit's signal. A class of ours: an AbortSignal with a listener costs an exchange 5 us. */
export class Stop implements StopSignal, Enlisted {
  place = nowhere;
  #reason: StopReason | undefined;
  onStop: (() => void) | undefined;
  /** Why what was allowed would not be allowed now; set once there is a permit to judge again. */
  rejudge: (() => StopReason | undefined) | undefined;

  get reason(): StopReason | undefined { return this.#reason; }

  stop(reason: StopReason): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.onStop?.();
  }
}

export function reasonOf({ code, message }: SallyportError): StopReason {
  return { code, detail: message };
}
