/** How long a refusal waits for those who were asked to give back what they hold idle; a proxy that says nothing holds up no longer. */
const recallMs = 2_000;

/**
 * How long a recall after which nothing was given out is believed to have found all there was, so that an agent which hammers an
 * exhausted budget makes one recall a second. Longer would hide units that an exchange gives back when it ends.
 */
const believedMs = 1_000;

/** One journal that has ever drawn of the meter, other than the one that draws now. */
interface Holder {
  readonly journal_id: string;
  /** Drawn, and neither settled nor given back: what its worker holds idle, has promised, or has spent without telling yet. */
  readonly outstanding: number;
  /** Whether it has been asked and has not answered, and when it was. */
  readonly asked: boolean;
  readonly asked_at: number;
  /** Whether its worker has a stream open, at whichever replica. */
  readonly connected: boolean;
}

export interface LastRecall {
  /** 0 where there was none. */
  readonly recall: number;
  readonly at: number;
  /** Units that all journals together had ever drawn when it began. */
  readonly drawn: number;
}

type RecallVerdict =
  /** Nobody holds anything idle that could come back in time. */
  | { readonly kind: 'exhausted' }
  /** Somebody is still to answer. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'ask'; readonly journals: readonly string[] };

/**
 * What a draw that is short does before anybody is refused. Whoever has answered holds nothing idle unless it drew again, which `drawn`
 * (only ever growing, and with this draw's own units) tells: so once a recall is answered by all and nothing was given out since it
 * began, the last unit is spent or promised. Each further recall follows a grant to somebody who waited, so they come to an end.
 */
export function judgeShortage(last: LastRecall, drawn: number, holders: readonly Holder[], now: number): RecallVerdict {
  const since = (at: number): number => (now >= at ? now - at : Number.POSITIVE_INFINITY);
  const holding = holders.filter(({ outstanding }) => outstanding > 0);
  if (holding.some(({ asked, asked_at, connected }) => asked && connected && since(asked_at) < recallMs)) return { kind: 'wait' };
  if (last.recall > 0 && last.drawn === drawn && since(last.at) < believedMs) return { kind: 'exhausted' };
  // Who has not answered yet is not asked twice: its answer is still welcome, but nobody waits for it again.
  const unasked = holding.filter(({ asked }) => !asked);
  if (!unasked.some(({ connected }) => connected)) return { kind: 'exhausted' };
  return { kind: 'ask', journals: unasked.map(({ journal_id }) => journal_id) };
}
