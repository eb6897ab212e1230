import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/**
 * `sallyport run -- true` from shell to shell: with `up` running, and cold (a fresh data folder each time, whose first start makes
 * database and keys), beside the bare start of Node.
 *
 *   bin/sallyport-node bench/run.ts [--rounds 10]
 */
const { values } = parseArgs({ options: { rounds: { type: 'string', default: '10' } } });
const rounds = Number(values.rounds);
const goals = { warm: 350, cold: 2000 };
const sallyport = fileURLToPath(new URL('../bin/sallyport', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
const work = join(folder, 'work');
mkdirSync(work);

function timed(command: string, args: readonly string[]): number {
  const began = performance.now();
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stderr}`);
  return performance.now() - began;
}
const run = (data: string): number => timed(sallyport, ['run', '--data', data, '--work', work, '--give-work', '--', 'true']);
const end = (data: string): void => { spawnSync(sallyport, ['down', '--data', data]); };

const times: Record<'node' | 'warm' | 'cold', number[]> = { node: [], warm: [], cold: [] };
const kept = join(folder, 'kept');
try {
  run(kept);
  for (let round = 0; round < rounds; round++) {
    times.node.push(timed(process.execPath, ['-e', '0']));
    times.warm.push(run(kept));
    const fresh = join(folder, `cold-${round}`);
    times.cold.push(run(fresh));
    end(fresh);
  }
} finally {
  end(kept);
  rmSync(folder, { recursive: true, force: true });
}

const shown = (numbers: readonly number[]): string => {
  const sorted = numbers.toSorted((a, b) => a - b);
  return `${Math.round(sorted[Math.floor(sorted.length / 2)] ?? Number.NaN)} (${Math.round(sorted[0] ?? Number.NaN)}..${Math.round(sorted.at(-1) ?? Number.NaN)})`;
};
console.log('| | median ms (range) | goal |\n| --- | --- | --- |');
console.log(`| node -e 0 | ${shown(times.node)} | |`);
console.log(`| run -- true, up running | ${shown(times.warm)} | ${goals.warm} |`);
console.log(`| run -- true, cold | ${shown(times.cold)} | ${goals.cold} |`);
