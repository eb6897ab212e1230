import test from 'ava';
import * as fc from 'fast-check';
import { settingsThatRun } from '../../../sandbox/work/git-settings.ts';

const table: readonly (readonly [string, readonly string[]])[] = [
  ['[core]\n\tfsmonitor = evil --now\n', ['core.fsmonitor = evil --now']],
  ['[CORE]\nFSMonitor=evil', ['core.FSMonitor = evil']],
  ['[core] hooksPath = /x', ['core.hooksPath = /x']],
  ['[core]\n\tsshCommand\n', ['core.sshCommand = true']],
  ['[filter "lfs"]\n clean = a\n smudge = b\n required = true', ['filter.lfs.clean = a', 'filter.lfs.smudge = b']],
  ['[alias]\n st = !evil', ['alias.st = !evil']],
  ['[includeIf "gitdir:/x"]\npath = /evil', ['includeif.gitdir:/x.path = /evil']],
  ['[include]\npath = ../evil', ['include.path = ../evil']],
  ['[url "http://evil.test/"]\n insteadOf = https://', ['url.http://evil.test/.insteadOf = https://']],
  ['[remote "origin"]\n url = ext::evil\n fetch = +refs/*:refs/*', ['remote.origin.url = ext::evil']],
  ['[credential "http://a.test"]\n helper = !evil', ['credential.http://a.test.helper = !evil']],
  ['[core]\n\trepositoryformatversion = 0\n\tbare = false\n[user]\nname = a\n', []],
  ['# [core]\n# fsmonitor = x\n; fsmonitor = y', []],
  ['fsmonitor = x', []],
  ['', []],
];

for (const [text, told] of table) test(`git config: ${JSON.stringify(text).slice(0, 50)}`, (t) => t.deepEqual(settingsThatRun(text), told));

test('any text can be read, and what is told is bounded', (t) => {
  fc.assert(fc.property(fc.string({ maxLength: 2000 }), (text) => settingsThatRun(text).length <= 20));
  const many = settingsThatRun(`[alias]\n${'a = !x\n'.repeat(100)}`);
  t.is(many.length, 20);
  t.is(settingsThatRun(`[core]\nfsmonitor = ${'x'.repeat(1000)}`)[0]?.length, 'core.fsmonitor = '.length + 200);
});
