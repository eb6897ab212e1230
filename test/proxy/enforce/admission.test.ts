import test from 'ava';
import type { Obligation } from '../../../contracts/decision.ts';
import type { Egress } from '../../../proxy/describe/egress.ts';
import { admit } from '../../../proxy/enforce/admission.ts';
import type { LiveRun } from '../../../proxy/runs.ts';

const egress: Egress = {
  act: 'request', form: 'absolute', method: 'GET', host: 'site.test', port: 80, is_ip_literal: false, scheme: 'http', tls: undefined, authority: 'site.test', path: '/', target: '/',
  query_keys: [], headers: [], credential: 'none', host_mismatch: false, own_name: false, body_bytes: 0, upgrade: undefined,
};
const run = { snapshot: { policy: { mode: 'enforce' } } } as unknown as LiveRun;
const obliged = (types: readonly Obligation['type'][]): Parameters<typeof admit>[2] => ({
  decision: { effect: 'allow', reasons: [], obligations: types.map((type) => ({ type, rule: 'run.allow', params: {} })) },
  revision: 'rev', input_digest: 'd',
} as unknown as Parameters<typeof admit>[2]);

const rows: readonly (readonly [string, string | undefined, readonly Obligation['type'][], string])[] = [
  ['nothing', undefined, [], 'admitted'],
  ['a web socket', 'websocket', [], 'admitted'],
  ['another protocol', 'spdy/3.1', [], 'not_supported'],
  ['another protocol where TLS may pass unseen', 'spdy/3.1', ['passthrough'], 'not_supported'],
  ['another protocol where any bytes may', 'spdy/3.1', ['passthrough', 'raw'], 'admitted'],
];
for (const [title, upgrade, types, expected] of rows) {
  test(`a request that offers to switch to ${title}: ${expected}`, (t) => {
    const admission = admit(run, { ...egress, upgrade }, obliged(types));
    t.is<string, string>(admission.kind === 'denied' ? admission.denial.code : admission.kind, expected);
  });
}
