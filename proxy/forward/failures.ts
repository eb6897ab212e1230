import { SallyportError, type ErrorCode } from '../../contracts/errors.ts';
import { tlsFailure } from './tls/failures.ts';

/** Codes of the system by what they say of the other side; every other one is `upstream_reset`. */
const codes: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'upstream_refused',
  ETIMEDOUT: 'upstream_timeout',
  EHOSTUNREACH: 'upstream_unreachable', ENETUNREACH: 'upstream_unreachable', EADDRNOTAVAIL: 'upstream_unreachable', EACCES: 'upstream_unreachable',
  EPERM: 'upstream_unreachable', EINVAL: 'upstream_unreachable', EAFNOSUPPORT: 'upstream_unreachable', ENETDOWN: 'upstream_unreachable', EHOSTDOWN: 'upstream_unreachable',
  EMFILE: 'overloaded', ENFILE: 'overloaded', ENOBUFS: 'overloaded', ENOMEM: 'overloaded',
};

const details: Partial<Record<ErrorCode, string>> = {
  upstream_refused: 'refused the connection',
  upstream_timeout: 'did not take the connection in time',
  upstream_unreachable: 'can\'t be reached from here',
  overloaded: 'could not be dialled: this proxy is out of resources',
};

/** What a failed dial or a broken connection is called. `where` is host and port; `answering`: after a part of an answer. */
export function upstreamFailure(error: NodeJS.ErrnoException | undefined, where: string, answering: boolean = false): SallyportError {
  const broken = tlsFailure(error, where);
  if (broken !== undefined) return broken;
  const code = codes[error?.code ?? ''] ?? 'upstream_reset';
  return new SallyportError(code, answering ? `${where} closed the connection before its answer was complete.` : `${where} ${details[code] ?? 'closed the connection'}.`, { cause: error });
}
