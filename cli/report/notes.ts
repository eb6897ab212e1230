import type { JailEnd } from '../../contracts/jail.ts';
import { plural } from '../text.ts';

/** Files named one by one; more are counted. */
const mostFiles = 10;

/** What the jail saw at its end that its user should know before touching the work folder. */
export function jailNotes(end: JailEnd): readonly string[] {
  return [
    ...end.git_changes.slice(0, mostFiles).map(({ path, change, runs }) => `${path} was ${change}${runs.length === 0 ? '' : `; git on this machine would run or obey: ${runs.join('; ')}`}`),
    ...(end.git_changes.length > mostFiles ? [`and ${plural(end.git_changes.length - mostFiles, 'other file')} that git acts on`] : []),
    ...(end.memory_kills > 0 ? [`${plural(end.memory_kills, 'process was', 'processes were')} killed for want of memory`] : []),
    ...end.warnings,
  ];
}
