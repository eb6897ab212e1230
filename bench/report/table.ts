import type { Column, Figures, Work } from '../works/work.ts';
import { median } from './statistics.ts';

/** One round of one contender: its figures, or why it is void. */
export type Outcome = { readonly contender: string; readonly round: number } & ({ readonly figures: Figures } | { readonly problem: string });

/** Markdown: contenders as rows, medians with their range over rounds; under it what is void and what is to be known. */
export function tableOf(work: Work, contenders: readonly string[], outcomes: readonly Outcome[], notes: readonly string[]): string {
  const rows = contenders.map((contender) => `| ${[contender, ...work.columns.map((column) => cell(column, contender, outcomes))].join(' | ')} |`);
  const voids = outcomes.flatMap((outcome) => ('problem' in outcome ? [`- void: ${outcome.contender}, round ${outcome.round}: ${outcome.problem}`] : []));
  return [
    `### ${work.name}: ${work.title}`, '', `| | ${work.columns.map(({ title }) => title).join(' | ')} |`, `| --- |${' --- |'.repeat(work.columns.length)}`, ...rows,
    ...(voids.length + notes.length > 0 ? ['', ...voids, ...notes.map((note) => `- ${note}`)] : []),
  ].join('\n');
}

/** For whoever watches. */
export function lineOf(work: Work, outcome: Outcome): string {
  if ('problem' in outcome) return `${outcome.contender}: void: ${outcome.problem}`;
  const figures = work.columns.flatMap((column) => ('figure' in column && column.against === undefined ? [`${column.title} ${outcome.figures[column.figure]?.toFixed(column.digits)}`] : []));
  return `${outcome.contender}: ${figures.join(', ')}`;
}

/** By round. */
function figuresOf(contender: string, figure: string, outcomes: readonly Outcome[]): ReadonlyMap<number, number> {
  return new Map(outcomes.flatMap((outcome) => ('figures' in outcome && outcome.contender === contender ? [[outcome.round, outcome.figures[figure] ?? Number.NaN] as const] : [])));
}

/** `range`: the lowest and highest of the rounds beside the median. */
export function cell(column: Column, contender: string, outcomes: readonly Outcome[], range = true): string {
  if ('text' in column) {
    const some = outcomes.some((outcome) => 'figures' in outcome && outcome.contender === contender);
    return some ? column.text((figure) => median([...figuresOf(contender, figure, outcomes).values()])) : '-';
  }
  const { figure, digits, against } = column;
  const own = figuresOf(contender, figure, outcomes);
  if (against === undefined) return shown([...own.values()], digits, range);
  const others = figuresOf(against.contender, figure, outcomes);
  const compared = [...own].flatMap(([round, value]) => {
    const other = others.get(round);
    return other === undefined ? [] : [against.by === 'ratio' ? value / other : value - other];
  });
  return shown(compared, digits, range);
}

function shown(values: readonly number[], digits: number, range: boolean): string {
  const known = values.filter(Number.isFinite);
  if (known.every((value) => value === 0)) return '-';
  const text = (value: number): string => value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return known.length === 1 || !range ? text(median(known)) : `${text(median(known))} (${text(Math.min(...known))}..${text(Math.max(...known))})`;
}
