import { readFileSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import type { JailSpec } from '../../contracts/jail.ts';
import { chooseIdentity, entriesOf, type Identity } from '../identity.ts';
import { ensureWritable, openWorkFolder, type WorkFolder } from './folder.ts';
import { installation, refuseForbidden } from './forbidden.ts';

/** Uids of people; systems give their services lower ones, and `nobody` is none. */
const firstPerson = 1000;
const nobody = 65_534;

export interface PreparedWork {
  readonly folder: WorkFolder;
  readonly identity: Identity;
}

/** Opens and checks the work folder, and chooses whom the agent runs as. Its descriptor is the caller's to close, also when this throws. */
export async function prepareWork(spec: Pick<JailSpec, 'work' | 'give_work' | 'keep_out'>, onOpened: (folder: WorkFolder) => void): Promise<PreparedWork> {
  const folder = openWorkFolder(spec.work);
  onOpened(folder);
  const passwd = readFileSync('/etc/passwd', 'utf8');
  const homes = entriesOf(passwd).filter(({ uid }) => uid >= firstPerson && uid < nobody).map(({ home }) => home);
  refuseForbidden(folder.path, { homes: withReal([homedir(), ...homes]), keepOut: withReal(spec.keep_out), installation });
  const identity = chooseIdentity({
    launcher: { uid: process.getuid?.() ?? -1, gid: process.getgid?.() ?? -1 },
    uidMap: readFileSync('/proc/self/uid_map', 'utf8'),
    gidMap: readFileSync('/proc/self/gid_map', 'utf8'),
    passwd,
  }, folder.owner);
  await ensureWritable(folder, identity, spec.give_work);
  return { folder, identity };
}

/** The work folder is judged by its real path, so what it must not hold is too: on some systems all of `/home` is behind a link. */
function withReal(paths: readonly string[]): readonly string[] {
  return paths.flatMap((path) => {
    try {
      return [path, realpathSync(path)];
    } catch {
      // What does not exist has no other name.
      return [path];
    }
  });
}
