import test from 'ava';
import { copyFile, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Lifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';
import { startProcess } from '../helpers/process.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

const worldTest = needs('world', 'jail', 'postgres');

const root = fileURLToPath(new URL('../../', import.meta.url));

/** `bin/setup` in a project that has nothing to build, so that a test replaces nothing that others are using. */
async function setupAlone(lifetime: Lifetime): Promise<string> {
  const folder = await temporaryFolder(lifetime, 0o755);
  await mkdir(join(folder, 'bin'));
  await copyFile(join(root, 'bin/setup'), join(folder, 'bin/setup'));
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  return join(folder, 'bin/setup');
}

worldTest('where nothing lacks, --quiet says nothing', async (t) => {
  const setup = startProcess(t, await setupAlone(t), ['--quiet']);
  t.is((await setup.exit()).code, 0, setup.stderr());
  t.is(setup.stdout() + setup.stderr(), '');
});

test('an unknown flag is a mistake of usage', async (t) => {
  const setup = startProcess(t, await setupAlone(t), ['--test']);
  t.is((await setup.exit()).code, 64);
  t.regex(setup.stderr(), /unknown flag '--test'.*--tests/);
});

test('without Node 24 it says to run npm install', async (t) => {
  const folder = await temporaryFolder(t, 0o755);
  await mkdir(join(folder, 'bin'));
  await copyFile(join(root, 'bin/setup'), join(folder, 'bin/setup'));
  const setup = startProcess(t, join(folder, 'bin/setup'), []);
  t.is((await setup.exit()).code, 69);
  t.regex(setup.stderr(), new RegExp(`Node 24 is missing.*Type: cd ${folder} && npm install`));
});

/** Covers programs in a mount namespace, then runs the set-up as somebody who is not root. */
const covering = (cover: string, setup: string, part: string): string[] => ['--user', '--map-root-user', '--mount', 'sh', '-c',
  `${cover} && exec unshare --user --map-user=1000 --map-group=1000 ${setup} --quiet ${part}`];

worldTest('who is not root is told the exact command', async (t) => {
  const cover = 'mount --bind /dev/null "$(command -v bwrap)" && mount --bind /dev/null "$(command -v wget)"';
  const setup = startProcess(t, 'unshare', covering(cover, await setupAlone(t), '--tests'));
  t.is((await setup.exit()).code, 69, setup.stdout());
  t.regex(setup.stderr(), /lacks:\n\s+bubblewrap: the jail\n\s+wget: a client in the tests\n/);
  t.regex(setup.stderr(), /Type: sudo apt-get update && sudo apt-get install -y bubblewrap wget\n/);
});

worldTest('a bubblewrap that is too old counts as lacking', async (t) => {
  const cover = 'old=$(mktemp) && printf "#!/bin/sh\\necho bubblewrap 0.4.1\\n" > "$old" && chmod 755 "$old" && mount --bind "$old" "$(command -v bwrap)"';
  const setup = startProcess(t, 'unshare', covering(cover, await setupAlone(t), '--demo'));
  t.is((await setup.exit()).code, 69, setup.stdout());
  t.regex(setup.stderr(), /bubblewrap 0\.4\.1 is too old, 0\.8\.0 is needed/);
});
