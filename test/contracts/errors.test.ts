import test from 'ava';
import { errorCatalogue, SallyportError, toProblem, toSallyportError, type ErrorCode } from '../../contracts/errors.ts';

const codes = Object.keys(errorCatalogue) as ErrorCode[];

test('every code has a status, an exit class and one clear sentence each for what and what next', (t) => {
  // sysexits.h: usage, unavailable, internal, temporary, permission, configuration.
  const exits = new Set([64, 69, 70, 75, 77, 78]);
  for (const code of codes) {
    const entry = errorCatalogue[code];
    t.regex(code, /^[a-z]+(?:_[a-z]+)*$/);
    t.true(entry.status >= 400 && entry.status <= 599, code);
    t.true(exits.has(entry.exit), code);
    t.regex(entry.title, /^[A-Z][^.]*[^.\s]$/, code);
    t.regex(entry.next, /^[A-Z].*\.$/, code);
  }
});

test('what may succeed later by itself never ends as a mistake of usage', (t) => {
  for (const code of codes) if (errorCatalogue[code].retryable) t.not(errorCatalogue[code].exit, 64, code);
});

test('whoever meets a bound or an absence that may pass is told how long to wait', (t) => {
  const waits = codes.filter((code) => new SallyportError(code, 'no').retry_after !== undefined);
  t.deepEqual(waits.toSorted(), ['control_plane_unreachable', 'database_unavailable', 'engine_error', 'journal_unavailable', 'no_policy', 'overloaded', 'rate_limited', 'snapshot_expired']);
  t.is(toProblem(new SallyportError('overloaded', 'no')).retry_after, 1);
  t.is(toProblem(new SallyportError('overloaded', 'no', { retry_after: 7 })).retry_after, 7);
  t.false('retry_after' in toProblem(new SallyportError('policy_denied', 'no')));
});

test('refusals have the status that the design settles', (t) => {
  const expected: Partial<Record<ErrorCode, number>> = {
    policy_denied: 403, approval_required: 403, needs_interception: 403, budget_exhausted: 403, rate_limited: 429, run_paused: 403, run_ended: 403, stale_epoch: 403,
    unknown_run: 403, proxy_authentication_required: 407, bad_request: 400, ambiguous_target: 400, path_not_canonical: 400, not_supported: 501, no_policy: 503,
    policy_invalid_decision: 503, engine_error: 503, journal_unavailable: 503, snapshot_expired: 503, overloaded: 503, upstream_dns: 502, upstream_timeout: 504,
  };
  for (const [code, status] of Object.entries(expected)) t.is(errorCatalogue[code as ErrorCode].status, status, code);
});

test('an error becomes a problem document (RFC 9457)', (t) => {
  const error = new SallyportError('policy_denied', 'site.example:443 is not allowed for this run');
  t.deepEqual(toProblem(error, 'egr_1'), {
    type: 'https://sallyport.example/problems/policy_denied', title: 'Denied by policy', status: 403, code: 'policy_denied',
    detail: 'site.example:443 is not allowed for this run', instance: 'egr_1', next_steps: [errorCatalogue.policy_denied.next],
  });
  const errors = [{ path: 'budget.requests', message: 'must be 0 or more' }];
  t.deepEqual(toProblem(new SallyportError('invalid_request', 'two mistakes', { errors, legal: ['Done'], retry_after: 3, next_steps: ['Mend it.'] })), {
    type: 'https://sallyport.example/problems/invalid_request', title: 'The request has mistakes', status: 422, code: 'invalid_request', detail: 'two mistakes',
    errors, legal: ['Done'], retry_after: 3, next_steps: ['Mend it.'],
  });
});

test('the detail of what is not to be exposed stays inside', (t) => {
  const problem = toProblem(new SallyportError('internal', 'password=hunter2'));
  t.false(JSON.stringify(problem).includes('hunter2'));
  t.is(problem.detail, errorCatalogue.internal.title);
});

test('any thrown value becomes an error, and its cause is kept', (t) => {
  const own = new SallyportError('usage', 'no');
  t.is(toSallyportError(own), own);
  const foreign = new TypeError('x is undefined');
  const error = toSallyportError(foreign);
  t.like(error, { code: 'internal', message: 'x is undefined' });
  t.is(error.cause, foreign);
  for (const thrown of ['text', undefined, null, 7, {}]) t.is(toSallyportError(thrown).code, 'internal');
});
