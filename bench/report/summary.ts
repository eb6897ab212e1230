import { reference } from '../peers/all.ts';
import { sallyport } from '../peers/sallyport.ts';
import type { Work } from '../works/work.ts';
import { cell, type Outcome } from './table.ts';

/** A work with all of its rounds. */
export interface Done {
  readonly work: Work;
  readonly outcomes: readonly Outcome[];
}

/** Markdown with works as rows: Sallyport with its range and what it costs, the others' medians of the same column, and the reference in absolute terms. */
export function summaryOf(done: readonly Done[], contenders: readonly string[]): string {
  const others = contenders.filter((name) => name !== sallyport.name && name !== reference);
  const rows = done.flatMap(({ work, outcomes }) => work.summary.map(({ column, goal = '', itself }) => {
    const against = work.reference ?? reference;
    const of = (title: string | undefined, name: string, range: boolean): string => {
      const found = title === undefined ? work.columns[0] : work.columns.find((one) => one.title === title);
      return found === undefined ? '' : cell(found, name, outcomes, range);
    };
    return [
      work.name, column, goal, `**${of(column, sallyport.name, true)}**`, of(`us x ${against}`, sallyport.name, true),
      ...others.map((name) => of(column, name, false)), `${of(itself, against, false)} ${itself ?? work.columns[0]?.title ?? ''}`,
    ];
  }));
  const heads = ['work', 'what', 'goal', sallyport.name, 'its us x the reference', ...others, 'the reference itself'];
  return ['### Summary', '', `| ${heads.join(' | ')} |`, `|${' --- |'.repeat(heads.length)}`, ...rows.map((row) => `| ${row.join(' | ')} |`)].join('\n');
}
