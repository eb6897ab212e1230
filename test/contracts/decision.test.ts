import test from 'ava';
import * as fc from 'fast-check';
import { decisionFault, type Decision, type Effect, type Reason } from '../../contracts/decision.ts';

const reason = (effect: Effect, rule = 'run.allow'): Reason => ({ effect, rule, pack: rule.split('.')[0]!, message: 'because', visible_to_agent: true });
const allow: Decision = { v: 1, effect: 'allow', default: false, reasons: [reason('allow')], approval: null, obligations: [] };
const deny: Decision = { ...allow, effect: 'deny', reasons: [reason('deny', 'core.metadata_address'), reason('allow')] };
const terms = { scope: 'host', ttl_seconds: 60, max_uses: 1, votes: 1 } as const;
const ask: Decision = { ...allow, effect: 'require_approval', reasons: [reason('require_approval', 'x.ask')], approval: terms };

const decisions: readonly [title: string, decision: unknown][] = [
  ['an allow', allow],
  ['a deny with an allow reason', deny],
  ['a question', ask],
  ['a default deny', { ...allow, effect: 'deny', default: true, reasons: [reason('deny', 'core.default_deny')] }],
  ['raw beside a passthrough', { ...allow, obligations: [{ type: 'passthrough', rule: 'run.allow', params: {} }, { type: 'raw', rule: 'run.allow', params: {} }] }],
  ['a passthrough', { ...allow, obligations: [{ type: 'passthrough', rule: 'run.allow', params: {} }] }],
  ['a limit', { ...allow, obligations: [{ type: 'limit', rule: 'x.y', params: { rate_per_minute: 60, max_request_bytes: 0 } }] }],
  ['a secret', { ...allow, obligations: [{ type: 'inject_secret', rule: 'x.y', params: { secret: 's', header: 'authorization' } }] }],
];
for (const [title, decision] of decisions) {
  test(`a decision: ${title}`, (t) => {
    t.is(decisionFault(decision), undefined);
  });
}

const obligation = { type: 'passthrough', rule: 'run.allow', params: {} };
const others: readonly [title: string, value: unknown][] = [
  ['nothing', undefined],
  ['null', null],
  ['true', true],
  ['a list', [allow]],
  ['an extra key', { ...allow, note: 1 }],
  ['a missing key', { v: 1, effect: 'allow', default: false, reasons: [reason('allow')], approval: null }],
  ['another version', { ...allow, v: 2 }],
  ['an unknown effect', { ...allow, effect: 'permit' }],
  ['an allow without a reason', { ...allow, reasons: [] }],
  ['an allow in spite of a deny', { ...deny, effect: 'allow' }],
  ['an allow in spite of a question', { ...ask, effect: 'allow', approval: null }],
  ['an allow for no allow reason', { ...allow, reasons: [reason('deny')] }],
  ['a deny that hides an allow', { ...allow, effect: 'deny' }],
  ['a default beside reasons', { ...deny, default: true }],
  ['a default allow', { ...allow, default: true }],
  ['a question without terms', { ...ask, approval: null }],
  ['terms without a question', { ...allow, approval: terms }],
  ['unknown terms', { ...ask, approval: { ...terms, note: 1 } }],
  ['an unknown scope', { ...ask, approval: { ...terms, scope: 'galaxy' } }],
  ['no votes', { ...ask, approval: { ...terms, votes: 0 } }],
  ['a fractional time', { ...ask, approval: { ...terms, ttl_seconds: 1.5 } }],
  ['obligations of a deny', { ...deny, obligations: [obligation] }],
  ['raw without a passthrough', { ...allow, obligations: [{ ...obligation, type: 'raw' }] }],
  ['an unknown obligation', { ...allow, obligations: [{ ...obligation, type: 'pray' }] }],
  ['an obligation named like a property of objects', { ...allow, obligations: [{ ...obligation, type: 'constructor' }] }],
  ['an obligation without a rule', { ...allow, obligations: [{ ...obligation, rule: '' }] }],
  ['an unknown parameter', { ...allow, obligations: [{ type: 'limit', rule: 'x.y', params: { rate_per_minut: 1 } }] }],
  ['a parameter that is no number', { ...allow, obligations: [{ type: 'limit', rule: 'x.y', params: { rate_per_minute: '1' } }] }],
  ['a negative limit', { ...allow, obligations: [{ type: 'limit', rule: 'x.y', params: { rate_per_minute: -1 } }] }],
  ['a reason of another pack', { ...allow, reasons: [{ ...reason('allow'), pack: 'core' }] }],
  ['a reason without a rule', { ...allow, reasons: [{ ...reason('allow'), rule: '' }] }],
  ['a reason with an extra key', { ...allow, reasons: [{ ...reason('allow'), note: 1 }] }],
  ['a message that is no text', { ...allow, reasons: [{ ...reason('allow'), message: 1 }] }],
  ['a message with half a surrogate pair', { ...allow, reasons: [{ ...reason('allow'), message: 'x\ud83d' }] }],
  ['a message that is too long', { ...allow, reasons: [{ ...reason('allow'), message: 'x'.repeat(501) }] }],
  ['visibility that is no boolean', { ...allow, reasons: [{ ...reason('allow'), visible_to_agent: 'no' }] }],
  ['too many reasons', { ...allow, reasons: Array.from({ length: 65 }, () => reason('allow')) }],
];
for (const [title, value] of others) {
  test(`no decision: ${title}`, (t) => {
    t.is(typeof decisionFault(value), 'string');
  });
}

test('no effect weaker than its strongest reason is ever a decision', (t) => {
  const effects: readonly Effect[] = ['deny', 'require_approval', 'allow'];
  fc.assert(fc.property(fc.constantFrom(...effects), fc.array(fc.constantFrom(...effects), { maxLength: 6 }), fc.boolean(), (effect, given, asks) => {
    const value = { ...allow, effect, reasons: given.map((each) => reason(each)), approval: asks ? terms : null };
    const strongest = effects.find((each) => given.includes(each));
    return (decisionFault(value) === undefined) === (effect === strongest && asks === (effect === 'require_approval'));
  }));
  t.pass();
});
