import test from 'ava';
import { needs } from '../helpers/needs.ts';
import { startProcess } from '../helpers/process.ts';

const worldTest = needs('world', 'jail', 'postgres');

worldTest('where nothing lacks, --quiet says nothing', async (t) => {
  t.is((await startProcess(t, 'bin/setup', ['--quiet', '--demo']).exit(60_000)).code, 0);
  const setup = startProcess(t, 'bin/setup', ['--quiet', '--demo']);
  t.is((await setup.exit()).code, 0, setup.stderr());
  t.is(setup.stdout() + setup.stderr(), '');
});

test('an unknown flag is a mistake of usage', async (t) => {
  const setup = startProcess(t, 'bin/setup', ['--test']);
  t.is((await setup.exit()).code, 64);
  t.regex(setup.stderr(), /unknown flag '--test'.*--tests/);
});

/** Covers programs in a mount namespace and runs the set-up as somebody who is not root. */
const without = (paths: string): string[] => ['--user', '--map-root-user', '--mount', 'sh', '-c',
  `for path in ${paths}; do mount --bind /dev/null "$path" || exit 1; done; exec unshare --user --map-user=1000 --map-group=1000 bin/setup --quiet --tests`];

worldTest('who is not root is told the exact command', async (t) => {
  const setup = startProcess(t, 'unshare', without('$(command -v bwrap) $(command -v wget)'));
  t.is((await setup.exit()).code, 69, setup.stdout());
  t.regex(setup.stderr(), /lacks:\n\s+bubblewrap: the jail\n\s+wget: a client in the tests\n/);
  t.regex(setup.stderr(), /Type: sudo apt-get update && sudo apt-get install -y bubblewrap wget\n/);
});

worldTest('a bubblewrap that is too old counts as lacking', async (t) => {
  const setup = startProcess(t, 'unshare', ['--user', '--map-root-user', '--mount', 'sh', '-c',
    'old=$(mktemp) && printf "#!/bin/sh\\necho bubblewrap 0.4.1\\n" > "$old" && chmod 755 "$old" && mount --bind "$old" "$(command -v bwrap)" && '
    + 'exec unshare --user --map-user=1000 --map-group=1000 bin/setup --quiet --demo']);
  t.is((await setup.exit()).code, 69, setup.stdout());
  t.regex(setup.stderr(), /bubblewrap 0\.4\.1 is too old, 0\.8\.0 is needed/);
});
