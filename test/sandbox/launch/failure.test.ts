import test from 'ava';
import { isBootFailure, launchFailure } from '../../../sandbox/launch/failure.ts';

const table: readonly (readonly [said: string, meaning: RegExp, next: RegExp])[] = [
  ['bwrap: setting up uid map: Permission denied', /AppArmor/, /bwrap-userns-restrict/],
  ['bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted', /AppArmor/, /apparmor_restrict_unprivileged_userns=0/],
  ['bwrap: No permissions to create new namespace, likely because the kernel does not allow non-privileged user namespaces.', /no user namespaces/, /container/],
  ['bwrap: Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)', /inside a jail already/, /outside/],
  ['bwrap: Unknown option --disable-userns', /too old/, /0\.8\.0/],
  ["bwrap: Can't mount proc on /newroot/proc: Operation not permitted", /hides part of \/proc/, /systempaths/],
  ['bwrap: prctl(PR_SET_SECCOMP): Invalid argument', /filter/, /CONFIG_SECCOMP_FILTER/],
];

for (const [said, meaning, next] of table) {
  test(`explained: ${said.slice(0, 70)}`, (t) => {
    const error = launchFailure(`${said}\n`, { code: 1, signal: null });
    t.is(error.code, 'jail_unavailable');
    t.regex(error.message, meaning);
    t.true(error.message.includes(said), 'the exact text is kept');
    t.regex(error.extras.next_steps?.join(' ') ?? '', next);
  });
}

test('what is not known is told as it is, and bounded', (t) => {
  t.regex(launchFailure('', { code: 96, signal: null }).message, /could not listen/);
  t.regex(launchFailure('', { code: null, signal: 'SIGKILL' }).message, /SIGKILL/);
  t.regex(launchFailure('', undefined).message, /in time/);
  t.true(launchFailure('x'.repeat(10_000), { code: 1, signal: null }).message.length < 600);
  t.true(isBootFailure(95));
  t.false(isBootFailure(1));
});
