import type { z } from 'zod';
import { SallyportError, type FieldError } from '../../contracts/errors.ts';

/** The value in its schema's shape, or `invalid_request` (422) that names every mistake by its path, as `policy.allow[0].ports`. */
export function validated<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value, { error: missing });
  if (result.success) return result.data;
  throw invalid(result.error.issues.flatMap(fieldErrors));
}

/** Instead of "expected string, received undefined"; undefined leaves the words to the schema. */
function missing({ code, input }: z.core.$ZodRawIssue): string | undefined {
  return code === 'invalid_type' && input === undefined ? 'is missing' : undefined;
}

export function invalid(errors: readonly FieldError[]): SallyportError {
  const [first] = errors;
  const detail = first === undefined ? 'The request has mistakes.' : `${first.path === '' ? '' : `${first.path}: `}${first.message}`;
  return new SallyportError('invalid_request', detail, { errors });
}

function fieldErrors(issue: z.core.$ZodIssue): readonly FieldError[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: pathText([...issue.path, key]), message: 'unknown field' }));
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
