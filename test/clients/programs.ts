import { readFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Each has its sources in programs/<name> and is built by programs/build, which bin/setup --tests calls. */
export type ProgramsName = 'node' | 'go' | 'java' | 'rust' | 'python' | 'chromium';

const link = (name: ProgramsName): string => fileURLToPath(new URL(`../../.tools/clients/${name}`, import.meta.url));

/** The folder in the user's cache in which the programs of one language are built. Throws with the reason where they are not. */
export function programs(name: ProgramsName): string {
  const reason = programsLack(name);
  if (reason !== undefined) throw new Error(`${name}: ${reason}`);
  return realpathSync(link(name));
}

/** Why the programs of one language are not there. */
export function programsLack(name: ProgramsName): string | undefined {
  try {
    return readFileSync(`${link(name)}.lacks`, 'utf8').trim();
  } catch {
    try {
      realpathSync(link(name));
      return undefined;
    } catch {
      return 'not built; type: bin/setup --tests';
    }
  }
}
