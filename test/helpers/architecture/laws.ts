import type { SourceFile } from './source-files.ts';

/** A law of the house: gives one sentence for each breach. */
export interface Law {
  readonly title: string;
  breaches(files: readonly SourceFile[]): readonly string[];
  /** A made-up project that breaks it, and nothing else: the proof that the law can fail. */
  readonly broken: readonly SourceFile[];
}

export const made = (path: string, text: string): SourceFile => ({ path, text });
