/**
 * What `npm test` runs: AVA inside the test world, with the arguments given (files, --match and the like).
 * The last line is `N passed, M failed`; what did not run is named before it, with the reason. AVA's exit code decides.
 */
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { enterWorld } from './helpers/world/launch.ts';
import { notRunVariable, type NotRun } from './helpers/world/missing.ts';
import { reportReader } from './helpers/world/report.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
const ava = join(root, 'node_modules/ava/entrypoints/cli.js');
const folder = await mkdtemp(join(tmpdir(), 'sp-report-'));
const list = join(folder, 'not-run');

const run = await enterWorld(
  [process.execPath, '--disable-warning=ExperimentalWarning', ava, ...process.argv.slice(2)],
  { stdio: ['ignore', 'pipe', 'inherit'], env: { [notRunVariable]: list } },
);
if (run.missing !== undefined) console.log(`No test world can be made here: ${run.missing}\n`);

const reader = reportReader();
if (run.child.stdout === null) throw new Error('AVA has no output to read.');
const lines = createInterface({ input: run.child.stdout });
lines.on('line', (text) => {
  reader.line(text);
  console.log(text);
});
const [code] = await Promise.all([run.ended, once(lines, 'close')]);

const notRun = existsSync(list)
  ? readFileSync(list, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as NotRun)
  : [];
await rm(folder, { recursive: true });
const told = (shown: string): boolean => notRun.some(({ title }) => shown === title || shown.endsWith(` › ${title}`));
const all = [
  ...notRun.map(({ file, title, reason }) => `${file} › ${title}\n    ${reason}`),
  ...reader.skipped.filter((shown) => !told(shown)).map((shown) => `${shown}\n    skipped in its source`),
];
if (all.length > 0) console.log(`\nNot run (${all.length}):\n  ${all.join('\n  ')}`);
// AVA's word counts where the lines say nothing of it, and the other way round.
const failed = code === 0 ? reader.failed : Math.max(1, reader.failed);
console.log(`\n${reader.passed} passed, ${failed} failed`);
process.exitCode = code === 0 && failed > 0 ? 1 : code;
