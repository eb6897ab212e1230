import test from 'ava';
import type { Decision, Reason } from '../../contracts/decision.ts';
import { verdictOf, whyStep, type Judged } from '../../contracts/verdict.ts';

const judged: Judged = { act: 'request', scheme: 'http', host: 'site.test', port: 80, method: 'GET', path: '/a' };

function denied(...rules: readonly string[]): Decision {
  const reasons = rules.map((rule): Reason => ({ effect: 'deny', pack: rule.split('.')[0]!, rule, message: `${rule} says no`, visible_to_agent: true }));
  return { v: 1, effect: 'deny', default: rules.length === 1 && rules[0] === 'core.default_deny', reasons, approval: null, obligations: [] };
}

const table: readonly (readonly [what: string, decision: Decision, judged: Judged, address: string | undefined, code: string, steps: readonly string[]])[] = [
  ['nothing allows it', denied('core.default_deny'), judged, undefined, 'policy_denied', ['Ask the operator to allow it: --allow site.test:80:GET. Another route will be refused as well.']],
  ['a tunnel that nothing allows', denied('core.default_deny'), { ...judged, act: 'connect', port: 443, method: 'CONNECT', path: undefined }, undefined, 'policy_denied',
    ['Ask the operator to allow it: --intercept and --allow site.test:443, or --allow site.test:443:TUNNEL to let its bytes through unseen. Another route will be refused as well.']],
  ['a tunnel to a port of which nobody knows what is spoken', denied('core.default_deny'), { ...judged, act: 'connect', port: 8080, method: 'CONNECT', path: undefined }, undefined, 'policy_denied',
    ['Ask the operator to allow it: --allow site.test:8080 (and --intercept where it is TLS), or --allow site.test:8080:TUNNEL to let its bytes through unseen. Another route will be refused as well.']],
  ['a request inside TLS', denied('core.default_deny'), { ...judged, scheme: 'https', port: 443, method: 'POST' }, undefined, 'policy_denied', ['Ask the operator to allow it: --allow site.test:443:POST. Another route will be refused as well.']],
  ['a pack forbids it', denied('corp.no'), judged, undefined, 'policy_denied', []],
  ['a name leads inside', denied('core.non_public_address'), judged, '10.1.2.3', 'core.non_public_address', ['Ask the operator to allow its range: --allow-address 10.1.2.3.']],
  ['an address inside', denied('core.non_public_address'), { ...judged, host: 'fd00::1' }, undefined, 'core.non_public_address', ['Ask the operator to allow its range: --allow-address fd00::1.']],
  ['where a name leads is known to an upstream proxy alone', denied('core.delegated_address'), judged, 'site.test', 'core.delegated_address', ['Ask the operator to allow exactly this host: --allow site.test:80:GET.']],
  ['several of core: the gravest names it', denied('core.non_public_address', 'core.metadata_address'), judged, '169.254.169.254', 'core.metadata_address', ['Nothing can allow this; leave it.']],
];
for (const [what, decision, act, address, code, steps] of table) {
  test(`${what}: ${code}, with the step that helps`, (t) => {
    const verdict = verdictOf(decision, act, { policy: { intercept: false, allow: [] }, address });
    t.is<string, string>(verdict.code, code);
    t.deepEqual(verdict.next_steps, [...steps]);
    t.regex(verdict.detail, /^[A-Z].*\.$/);
  });
}

test('where TLS is looked into already, nobody is told to ask for it', (t) => {
  const { next_steps } = verdictOf(denied('core.default_deny'), { ...judged, act: 'connect', port: 443, method: 'CONNECT', path: undefined }, { policy: { intercept: true, allow: [] } });
  t.deepEqual(next_steps, ['Ask the operator to allow it: --allow site.test:443, or --allow site.test:443:TUNNEL to let its bytes through unseen. Another route will be refused as well.']);
});

test('whoever has allowed some paths of a host is not led to allow all, nor to paste what an agent has put into a path', (t) => {
  const of = (path: string, host = '*.test', path_prefix: string | null = '/docs') =>
    verdictOf(denied('core.default_deny'), { ...judged, path }, { policy: { intercept: true, allow: [{ id: 'a', host, ports: [80], methods: ['GET'], path_prefix }] } }).next_steps[0]!;
  t.regex(of('/a'), /: --allow site\.test:80:GET:\/a\. Another/);
  for (const [path, host, path_prefix] of [['/a', 'other.test', '/docs'], ['/a', 'site.test', null], ['/a;id', 'site.test', '/docs'], ['/$(id)', 'site.test', '/docs'], [`/${'a'.repeat(200)}`, 'site.test', '/docs']] as const) {
    t.regex(of(path, host, path_prefix), /: --allow site\.test:80:GET\. Another/);
  }
});

test('the address to ask why at names the act without its query, and no method where GET is meant', (t) => {
  t.is(whyStep(judged), 'Ask http://sallyport.internal/chat/why?url=http%3A%2F%2Fsite.test%2Fa for what would be allowed.');
  t.is(whyStep({ ...judged, method: 'POST', port: 8080 }), 'Ask http://sallyport.internal/chat/why?url=http%3A%2F%2Fsite.test%3A8080%2Fa&method=POST for what would be allowed.');
});
