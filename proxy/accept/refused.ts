import type { ErrorCode } from '../../contracts/errors.ts';
import type { Form, RequestHead, Source } from '../exchange.ts';

/** A request that is refused before any stage sees it. */
export interface Refused {
  readonly source: Source;
  /** Set for HTTP inside a CONNECT. */
  readonly inside: Extract<Form, { kind: 'inside' }> | undefined;
  readonly code: ErrorCode;
  readonly detail: string;
  /** Undefined where it could not be read. */
  readonly head: RequestHead | undefined;
}

/** Gives the id under which the refusal is recorded; undefined when it is not. */
export type OnRefused = (refused: Refused) => string | undefined;

/** Has a refusal recorded, for the answer to name the record. */
export function recordedAs(
  { source, inside, onRefused }: Pick<Refused, 'source' | 'inside'> & { readonly onRefused?: OnRefused },
  { code, detail }: Pick<Refused, 'code' | 'detail'>,
  head: RequestHead | undefined,
): { readonly egress_id?: string } {
  const egress_id = onRefused?.({ source, inside, code, detail, head });
  return egress_id === undefined ? {} : { egress_id };
}
