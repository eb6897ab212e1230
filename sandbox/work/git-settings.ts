/** Settings that make git run a program, or obey another file or host (git-config(1)); names in lower case. */
const settings: readonly RegExp[] = [
  /^core\.(?:fsmonitor|hookspath|sshcommand|editor|pager|askpass|gitproxy|alternaterefscommand|attributesfile|excludesfile|worktree)$/,
  /^sequence\.editor$/, /^alias\./, /^pager\./, /^filter\..*\.(?:clean|smudge|process)$/,
  /^diff\.(?:external|.*\.(?:command|textconv))$/, /^merge\..*\.driver$/,
  /^(?:merge|diff)tool\..*\.(?:cmd|path)$/, /^(?:man|browser)\..*\.(?:cmd|path)$/, /^web\.browser$/, /^interactive\.difffilter$/,
  /^credential\.(?:.*\.)?helper$/, /^gpg\.(?:.*\.)?(?:program|defaultkeycommand)$/, /^include\.path$/, /^includeif\..*\.path$/,
  /^remote\..*\.(?:proxy|uploadpack|receivepack|vcs|url|pushurl)$/, /^http\.(?:.*\.)?proxy$/, /^protocol\.(?:.*\.)?allow$/,
  /^url\..*\.(?:insteadof|pushinsteadof)$/, /^submodule\..*\.(?:update|url)$/, /^hook\..*\.command$/, /^uploadpack\.packobjectshook$/,
  /^trailer\..*\.(?:command|cmd)$/, /^sendemail\./, /^instaweb\./, /^init\.templatedir$/, /^safe\./, /^extensions\.worktreeconfig$/,
];
/** Longest value told; it is shown to a person. */
const longestValue = 200;
const mostTold = 20;

/** `name = value` of each such setting in the text of a git config file. A line that continues is told as far as its first line. */
export function settingsThatRun(text: string): readonly string[] {
  const told: string[] = [];
  let section = '';
  for (const line of text.split('\n')) {
    // A section may be followed by a setting on the same line.
    const header = /^\s*\[\s*([A-Za-z0-9.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]/.exec(line);
    if (header !== null) section = header[2] === undefined ? (header[1] ?? '').toLowerCase() : `${(header[1] ?? '').toLowerCase()}.${header[2]}`;
    const setting = /^\s*([A-Za-z][A-Za-z0-9-]*)\s*(?:=\s*(.*))?$/.exec(header === null ? line : line.slice(header[0].length));
    if (setting === null || section === '') continue;
    const name = `${section}.${setting[1] ?? ''}`;
    if (!settings.some((known) => known.test(name.toLowerCase()))) continue;
    if (told.length < mostTold) told.push(`${name} = ${(setting[2] ?? 'true').trim().slice(0, longestValue)}`);
  }
  return told;
}
