import { SallyportError, toProblem, toSallyportError, type ErrorCode, type Problem } from '../contracts/errors.ts';
import { escapeText } from './text.ts';

/** Characters of one line; a detail may quote what somebody typed. */
const longestLine = 1000;

/** Several mistakes in one command line: each is told, in a sentence of its own. */
export class UsageError extends SallyportError {
  readonly sentences: readonly string[];

  constructor(sentences: readonly string[], code: 'usage' | 'not_supported' = 'usage') {
    // The catalogue's step for `not_supported` speaks of a request; here it was a flag, and the sentence says what to do.
    super(code, sentences.join(' '), { errors: sentences.map((message) => ({ path: '', message })), ...(code === 'not_supported' && { next_steps: [] }) });
    this.sentences = sentences;
  }
}

/** The catalogue's steps for these are for those who speak HTTP. */
const stepsHere: Partial<Record<ErrorCode, string>> = {
  unauthenticated: 'Check SALLYPORT_API_KEY.',
  control_plane_unreachable: 'Start it with sallyport up.',
};

/** What a failure looks like on standard error: the sentence, then the next step. */
export function failureLines(thrown: unknown, command: string): readonly string[] {
  const error = toSallyportError(thrown);
  const sentences = error instanceof UsageError ? error.sentences : [error.message || error.entry.title, ...fieldLines(error)];
  const { next } = error.entry;
  const given = error.extras.next_steps;
  // Another process tells the catalogue's step where it knows none of its own.
  const own = given?.length === 1 && given[0] === next ? undefined : given;
  const steps = own ?? [error.code === 'usage' ? `See sallyport ${command === '' ? '' : `${command} `}--help.` : stepsHere[error.code] ?? next];
  return [
    ...sentences.map((sentence) => `sallyport: ${escapeText(sentence, longestLine)}`),
    ...steps.map((step) => `  ${escapeText(step, longestLine)}`),
  ];
}

function fieldLines(error: SallyportError): readonly string[] {
  // Whoever throws may have said it all in the detail already.
  return (error.extras.errors ?? []).filter(({ message }) => !error.message.includes(message))
    .map(({ path, message }) => path === '' ? message : `${path}: ${message}`);
}

/** For another process, or the screen, of the same person: nothing needs hiding. */
export function localProblem(thrown: unknown): Problem {
  const error = toSallyportError(thrown);
  return { ...toProblem(error), detail: error.message };
}

export function exitCodeOf(thrown: unknown): number {
  return toSallyportError(thrown).entry.exit;
}
