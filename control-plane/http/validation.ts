import type { z } from 'zod';
import { SallyportError, type FieldError } from '../../contracts/errors.ts';

/** Mistakes that an answer names, and characters of one: a body can hold many below one long name, and all of them together fill no answer. */
export const mistakesMax = 32;
const textMax = 256;

/** The value in its schema's shape, or `invalid_request` (422) that names the first mistakes by their path, as `policy.allow[0].ports`. */
export function validated<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value, { error: missing });
  if (result.success) return result.data;
  throw invalid(result.error.issues.slice(0, mistakesMax).flatMap(fieldErrors));
}

/** Instead of "expected string, received undefined"; undefined leaves the words to the schema. */
function missing({ code, input }: z.core.$ZodRawIssue): string | undefined {
  return code === 'invalid_type' && input === undefined ? 'is missing' : undefined;
}

export function invalid(errors: readonly FieldError[]): SallyportError {
  const told = errors.slice(0, mistakesMax).map(({ path, message }) => ({ path: cut(path), message: cut(message) }));
  const [first] = told;
  const detail = first === undefined ? 'The request has mistakes.' : `${first.path === '' ? '' : `${first.path}: `}${first.message}`;
  return new SallyportError('invalid_request', detail, { errors: told });
}

const cut = (text: string): string => (text.length <= textMax ? text : `${text.slice(0, textMax).toWellFormed()}...`);

function fieldErrors(issue: z.core.$ZodIssue): readonly FieldError[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, mistakesMax).map((key) => ({ path: pathText([...issue.path, key]), message: 'unknown field' }));
  }
  return [{ path: pathText(issue.path), message: issue.message }];
}

function pathText(path: readonly PropertyKey[]): string {
  return path.map((part, index) => typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`).join('');
}

/** A query string by a schema of strings. A parameter given twice is an array, which no such schema takes. */
export function validatedQuery<T extends z.ZodType>(schema: T, ctx: { readonly query: object }): z.output<T> {
  return validated(schema, { ...ctx.query });
}
