/** What an agent leaves behind for the host, for its user, or for its own next run. */
import { existsSync, lstatSync, mkdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { safeRead } from '../../../sandbox/work/safe-read.ts';
import { hostGit, python, runInJail } from '../../helpers/jail.ts';
import { needs } from '../../helpers/needs.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const test = needs('jail', 'command python3', 'command git');

test.serial('links planted for the next run make nothing on the host and bring nothing in', async (t) => {
  const outside = await temporaryFolder(t, 0o777);
  writeFileSync(join(outside, 'secret'), 'canary', { mode: 0o644 });
  const work = await temporaryFolder(t, 0o755);
  // Before the root is changed, bwrap has the host below /oldroot: what a mount point below a writable bind would be made in (GHSA-pxhw-h44j-8pfx).
  const plant = ['.git', '.git/hooks', 'node_modules', 'x', 'tmp'].map((name) => `mkdir -p $(dirname ${name}); ln -sfn /oldroot${outside}/made ${name} 2>/dev/null; ln -sfn ${outside} direct`).join('; ');
  await runInJail(t, ['sh', '-c', plant], { spec: { work } });
  const { stdout } = await runInJail(t, ['sh', '-c', 'cat direct/secret x/secret .git/secret 2>/dev/null; ls /oldroot 2>/dev/null; echo end'], { spec: { work } });
  t.is(stdout, 'end\n');
  t.deepEqual(await readdir(outside), ['secret']);
});

for (const { by, exchange } of [
  { by: 'a link to another one', exchange: (work: string, secret: string) => symlinkSync(secret, work) },
  { by: 'another one of that name', exchange: (work: string, secret: string) => renameSync(secret, work) },
]) {
  test.serial(`the agent is not started where the work folder is exchanged for ${by} after it was checked`, async (t) => {
    const parent = await temporaryFolder(t, 0o755);
    const [work, secret] = [join(parent, 'work'), join(parent, 'secret')];
    for (const folder of [work, secret]) mkdirSync(folder, { mode: 0o777 });
    writeFileSync(join(secret, 'key'), 'canary', { mode: 0o644 });
    // The folder is opened and checked before the first await, and bwrap is started after it.
    const starting = runInJail(t, ['touch', '/work/was-here'], { spec: { work } });
    renameSync(work, `${work}.checked`);
    exchange(work, secret);
    await t.throwsAsync(starting, { code: 'jail_unavailable', message: /the work folder was exchanged for another one/ });
    t.deepEqual(await readdir(work), ['key']);
  });
}

test.serial('what makes git run something on the host is named at the end', async (t) => {
  const work = await temporaryFolder(t, 0o755);
  hostGit(work, 'init', '-q', '.');
  const { end } = await runInJail(t, ['sh', '-c', `
git config core.fsmonitor "touch /tmp/pwned"
printf '#!/bin/sh\\ntrue\\n' > .git/hooks/post-checkout; chmod +x .git/hooks/post-checkout
mkdir -p sub && git init -q sub && git -C sub config alias.status '!touch /tmp/pwned'
mkdir bare && git init -q --bare bare && git -C bare config core.fsmonitor evil
git init -q plain
echo /elsewhere > .git/commondir`], { spec: { work } });
  const told = Object.fromEntries(end.git_changes.map(({ path, change, runs }) => [path, { change, runs }]));
  t.deepEqual(told, {
    '.git/commondir': { change: 'added', runs: ['points git to /elsewhere'] },
    '.git/config': { change: 'changed', runs: ['core.fsmonitor = touch /tmp/pwned'] },
    '.git/hooks/post-checkout': { change: 'added', runs: ['runs as the hook post-checkout'] },
    'bare/config': { change: 'added', runs: ['core.fsmonitor = evil'] },
    'sub/.git/config': { change: 'added', runs: ['alias.status = !touch /tmp/pwned'] },
  });
  t.false(existsSync('/tmp/pwned'), 'looking at it ran it');
});

test.serial('a .git that is moved away and replaced is named too', async (t) => {
  const work = await temporaryFolder(t, 0o755);
  hostGit(work, 'init', '-q', '.');
  const { end } = await runInJail(t, ['sh', '-c', 'git init -q other; git -C other config core.sshCommand evil; mv .git .old; mv other/.git .git'], { spec: { work } });
  t.deepEqual(end.git_changes.find(({ path }) => path === '.git/config'), { path: '.git/config', change: 'changed', runs: ['core.sshCommand = evil'] });
  const linked = await runInJail(t, ['sh', '-c', 'mv .git .third; ln -s .third .git'], { spec: { work } });
  t.deepEqual(linked.end.git_changes.find(({ path }) => path === '.git'), { path: '.git', change: 'added', runs: ['is a link to .third'] });
});

test.serial('a run that does no harm to a repository has nothing to tell', async (t) => {
  const work = await temporaryFolder(t, 0o755);
  hostGit(work, 'init', '-q', '.');
  const { end, code } = await runInJail(t, ['sh', '-c', 'echo text > file; git add file; git -c user.name=a -c user.email=a@site.test commit -qm "Say something"; git init -q nested'], { spec: { work } });
  t.is(code, 0);
  t.deepEqual(end.git_changes, []);
  t.deepEqual(end.warnings, []);
});

test.serial("the host's own reading follows no trap: links, folders by link, FIFOs, second names, growing files", async (t) => {
  const outside = await temporaryFolder(t, 0o755);
  writeFileSync(join(outside, 'secret'), 'canary', { mode: 0o644 });
  const work = await temporaryFolder(t, 0o755);
  await runInJail(t, ['sh', '-c', `ln -s ${outside}/secret link; ln -s ${outside} folder; mkfifo fifo; echo plain > plain; ln plain second; echo honest > honest; mkdir inner; echo deep > inner/deep`], { spec: { work } });
  const read = (path: string): string | undefined => safeRead(work, join(work, path), 1000)?.toString();
  t.is(read('honest'), 'honest\n');
  t.is(read('inner/deep'), 'deep\n');
  for (const trap of ['link', 'folder/secret', 'fifo', 'plain', 'second', 'inner', 'missing']) t.is(read(trap), undefined, trap);
  t.is(safeRead(work, join(work, 'honest'), 3), undefined);
  t.true(lstatSync(join(work, 'link')).isSymbolicLink());
  t.is(readFileSync(join(work, 'link'), 'utf8'), 'canary', 'a naive reader would have followed it');
});

test.serial("a set-id program that is left behind is its maker's, never root's, and is told", async (t) => {
  const { end, work } = await runInJail(t, python("import shutil; shutil.copy('/usr/bin/id', 'left'); os.chmod('left', 0o6755)"));
  const { uid, mode } = statSync(join(work, 'left'));
  t.not(uid, 0);
  t.is(mode & 0o6000, 0o6000);
  t.true(end.warnings.some((warning) => warning.includes('set-id') && warning.includes('left')));
});
