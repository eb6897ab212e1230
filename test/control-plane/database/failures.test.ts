import test from 'ava';
import { SallyportError } from '../../../contracts/errors.ts';
import { isConflict, mayRetry, toDatabaseError } from '../../../control-plane/database/failures.ts';

const failed = (fields: object, message = 'failed'): Error => Object.assign(new Error(message), fields);

test('what keeps us from the database is database_unavailable, and nothing else is', (t) => {
  const unavailable = [
    failed({ code: 'ECONNREFUSED', syscall: 'connect' }), failed({ code: 'ENOENT', syscall: 'connect' }), failed({ code: 'ENOTFOUND', syscall: 'getaddrinfo' }),
    failed({ code: 'ECONNRESET', syscall: 'read' }), failed({ code: 'EPIPE', syscall: 'write' }), failed({ code: '57P01' }), failed({ code: '57P03' }), failed({ code: '08006' }),
    failed({ code: '53300' }), failed({ code: '3D000' }), failed({ code: '28P01' }), failed({}, 'Connection terminated unexpectedly'),
    failed({}, 'timeout exceeded when trying to connect'), new AggregateError([failed({ code: 'ECONNREFUSED', syscall: 'connect' })]),
  ];
  for (const error of unavailable) {
    const told = toDatabaseError(error);
    t.true(told instanceof SallyportError && told.code === 'database_unavailable' && told.retry_after === 1, JSON.stringify(error));
  }
  const others = [failed({ code: 'ENOENT', syscall: 'open' }), failed({ code: 'ECONNRESET' }, 'aborted'), failed({ code: '23505' }), failed({ code: '22P02' }), failed({}), 'text', undefined, new SallyportError('not_found', 'x')];
  for (const error of others) t.is(toDatabaseError(error), error);
});

test('what the database has rolled back because of another transaction may be tried again', (t) => {
  t.deepEqual(['40001', '40P01', '23505', '57P01'].map((code) => mayRetry(failed({ code }))), [true, true, false, false]);
  t.true(isConflict(failed({ code: '23505', constraint: 'draws_pkey' }), 'draws_pkey'));
  t.false(isConflict(failed({ code: '23505', constraint: 'other' }), 'draws_pkey'));
});
