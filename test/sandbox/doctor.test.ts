import { inspectHost, isEnough } from '../../sandbox/doctor.ts';
import { needs } from '../helpers/needs.ts';

const test = needs('jail');

test.serial('a host that can jail is found to: every check says what it found', async (t) => {
  const report = await inspectHost();
  t.true(report.can_jail);
  t.true(report.checks.length >= 7);
  for (const { name, found, status, next } of report.checks) {
    t.regex(found, /^[A-Z/].*\.$/s, name);
    t.not(status, 'missing', name);
    if (status === 'limited') t.true(next.length > 0, name);
  }
});

for (const [version, enough] of [['bubblewrap 0.8.0', true], ['bubblewrap 0.11.2', true], ['bubblewrap 1.0.0', true], ['bubblewrap 0.7.9', false], ['bubblewrap 0.4.1', false], ['nonsense', false]] as const) {
  test(`${version} is ${enough ? 'new enough' : 'too old'}`, (t) => t.is(isEnough(version), enough));
}
