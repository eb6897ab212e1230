import { chownSync, copyFileSync, linkSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { needs } from '../../helpers/needs.ts';
import { startProcess } from '../../helpers/process.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const asRoot = needs('jail', 'root').serial;

asRoot("Node and a work folder that the agent's uid cannot walk to are brought to it, and nothing is left of the way", async (t) => {
  const closed = await temporaryFolder(t, 0o700);
  const node = join(closed, 'node');
  try {
    linkSync(process.execPath, node);
  } catch {
    copyFileSync(process.execPath, node);
  }
  const work = join(closed, 'work');
  mkdirSync(work);
  chownSync(work, 64_334, 64_334);
  const before = readdirSync('/tmp');
  const launcher = startProcess(t, node, ['--disable-warning=ExperimentalWarning', fileURLToPath(new URL('../escapes/leaky-launcher.ts', import.meta.url)), work]);
  t.is((await launcher.exit()).code, 0, launcher.stderr());
  t.is(launcher.stdout().split('\n')[0], '0 1 2 3');
  t.deepEqual(readdirSync('/tmp').filter((name) => name.startsWith('sallyport-') && !before.includes(name) && statSync(join('/tmp', name)).uid === 0), []);
});
