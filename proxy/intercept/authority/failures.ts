import { SallyportError } from '../../../contracts/errors.ts';

/** What is wrong with the folder of authorities: a person has to look, and nothing is made anew over what is there. */
export function authorityError(detail: string, cause?: unknown, next?: readonly string[]): SallyportError {
  return new SallyportError('authority', detail, { ...(cause !== undefined && { cause }), ...(next !== undefined && { next_steps: next }) });
}

/** What the system says about a file, as one of our own errors. */
export function fileError(thrown: unknown, place: string): SallyportError {
  if (thrown instanceof SallyportError) return thrown;
  const { code, message } = thrown as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') return new SallyportError('disk_full', `There is no space left for ${place}.`, { cause: thrown });
  const why = code === 'EACCES' || code === 'EPERM' ? 'no permission' : code === 'EROFS' ? 'a read-only file system'
    : code === 'ELOOP' ? 'it is a symbolic link' : code === 'ENOTDIR' || code === 'EEXIST' ? 'a file is in the way' : message;
  return authorityError(`${place} cannot be read or written: ${why}.`, thrown);
}
