import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Children } from './machine/children.ts';
import { programPath, versionOf } from './machine/programs.ts';
import { startOrigins } from './origins/start.ts';
import { peers, reference } from './peers/all.ts';
import type { Peer } from './peers/peer.ts';
import { sallyport } from './peers/sallyport.ts';
import { describeMachine } from './report/machine.ts';
import { summaryOf, type Done } from './report/summary.ts';
import { lineOf, tableOf, type Outcome } from './report/table.ts';
import type { Stage } from './stage.ts';
import { bulkWorks } from './works/bulk.ts';
import { connect } from './works/connect.ts';
import { events } from './works/events.ts';
import { idle } from './works/idle.ts';
import { latency } from './works/latency.ts';
import { rest } from './works/measured.ts';
import { wrkInstall } from './works/run-wrk.ts';
import { smallWorks } from './works/small.ts';
import { tlsWorks } from './works/tls.ts';
import { soak, soakTable } from './works/soak.ts';
import type { Bench, Contender, Work } from './works/work.ts';

/**
 * Sallyport with all checks on beside other proxies, a floor and no proxy, in interleaved rounds. What it measures and how: README.md.
 *
 *   bin/sallyport-node bench/proxies.ts [--work plain,connect,...] [--peers sallyport,squid,...] [--rounds 5] [--seconds 3]
 *     [--idle 10000] [--soak 10m] [--soak-rate N] [--proxy-core 0] [--load-cores 1] [--json FILE]
 */
const works: readonly Work[] = [...smallWorks, connect, ...bulkWorks, latency, events, idle, ...tlsWorks];
const { values } = parseArgs({ options: {
  'work': { type: 'string', default: works.map(({ name }) => name).join(',') },
  'peers': { type: 'string', default: peers.map(({ name }) => name).join(',') },
  'rounds': { type: 'string', default: '5' }, 'seconds': { type: 'string', default: '3' }, 'idle': { type: 'string', default: '10000' },
  'soak': { type: 'string' }, 'soak-rate': { type: 'string' }, 'proxy-core': { type: 'string', default: '0' }, 'load-cores': { type: 'string', default: '1' }, 'json': { type: 'string' },
} });

function chosen<Thing extends { readonly name: string }>(names: string, from: readonly Thing[]): readonly Thing[] {
  return names.split(',').filter((name) => name !== '').map((name) => {
    const found = from.find((thing) => thing.name === name);
    if (found === undefined) throw new Error(`"${name}" is none of ${from.map((thing) => thing.name).join(', ')}`);
    return found;
  });
}

/** `90`, `90s` or `10m`, in seconds. */
function duration(text: string): number {
  const [, number, unit] = /^(\d+)(s|m)?$/.exec(text) ?? [];
  if (number === undefined) throw new Error(`"${text}" is no duration: write 90s or 10m`);
  return Number(number) * (unit === 'm' ? 60 : 1);
}

/** Node compiles what is busy within some 2.5 s. */
const warmUpSeconds = 8;

const told = (line: string): void => { process.stderr.write(`${line}\n`); };

async function startContender(bench: Bench, peer: Peer, folder: string, agents: number): Promise<Contender> {
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  const program = peer.program === undefined ? '' : programPath(peer.program.name)!;
  return { peer, running: await peer.start({ stage: bench.stage, origins: bench.origins, program, folder, agents }) };
}

/** All contenders run at the same time, idle but for the one whose turn it is; rounds go there and back. The first of all warms up. */
async function measure(bench: Bench, work: Work, able: readonly Peer[], rounds: number): Promise<{ readonly contenders: readonly string[]; readonly outcomes: readonly Outcome[]; readonly notes: readonly string[] }> {
  const notes: string[] = [];
  const contenders: Contender[] = [];
  const outcomes: Outcome[] = [];
  try {
    for (const peer of able.filter((one) => work.fits(one))) {
      const folder = join(bench.stage.folder, `${work.name}-${peer.name.replaceAll(' ', '-')}`);
      try {
        contenders.push(await startContender(bench, peer, folder, work.agents?.(bench) ?? 1));
      } catch (error) {
        notes.push(`${peer.name} was not measured: ${(error as Error).message}`);
      }
    }
    for (const contender of contenders) await rest(contender);
    for (let round = work.rounds === 1 ? 1 : 0; round <= (work.rounds ?? rounds); round++) {
      for (const contender of round % 2 === 0 ? contenders.toReversed() : contenders) {
        const who = { contender: contender.peer.name, round };
        const outcome: Outcome = await work.round(round === 0 ? { ...bench, seconds: Math.max(bench.seconds, warmUpSeconds) } : bench, contender).then((figures) => ({ ...who, figures }), (error: unknown) => ({ ...who, problem: (error as Error).message }));
        told(`${work.name} ${round === 0 ? 'warm-up' : `${round}/${work.rounds ?? rounds}`} ${lineOf(work, outcome)}`);
        if (round > 0) outcomes.push(outcome);
        await rest(contender);
      }
    }
  } finally {
    await Promise.all(contenders.map(({ running }) => running.stop()));
  }
  return { contenders: contenders.map(({ peer }) => peer.name), outcomes, notes };
}

const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
chmodSync(folder, 0o777);
const children = new Children();
let ending: Promise<void> | undefined;

/** Whatever happens, nothing is left running and nothing is left on the disk. */
const end = (): Promise<void> => ending ??= children.endAll().finally(() => { rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }); });
const endWith = (code: number): void => { void end().finally(() => { process.exit(code); }); };
for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const) {
  process.on(signal, () => { endWith(code); });
}

// Also when whoever reads the tables has gone (EPIPE).
process.on('uncaughtException', (error: unknown) => {
  if (ending === undefined) console.error(error);
  endWith(1);
});

try {
  const wanted = chosen(values.work, works);
  const named = chosen(values.peers, peers);
  const soakSeconds = values.soak === undefined ? undefined : duration(values.soak);
  const able = named.filter(({ program }) => program === undefined || programPath(program.name) !== undefined);
  const missing = named.filter((peer) => !able.includes(peer)).map(({ name, program }) => `${name} (${program!.install})`);
  if (programPath('wrk') === undefined) missing.push(`wrk, without which the works ${smallWorks.map(({ name }) => name).join(', ')} and soak are void (${wrkInstall})`);
  if (!children.pinned) missing.push('taskset, so that processes share all cores (apt-get install util-linux)');
  const versions = Object.fromEntries(able.flatMap(({ name, program }) => (program === undefined ? [] : [[name, versionOf(programPath(program.name)!, program.flag)]])));
  const stage: Stage = { children, folder, cores: { proxy: values['proxy-core'], load: values['load-cores'] } };
  const bench: Bench = { stage, origins: await startOrigins(stage), seconds: Number(values.seconds), idle: Number(values.idle) };
  const report = { machine: describeMachine(), rounds: Number(values.rounds), seconds: bench.seconds, reference, versions, missing, works: [] as object[], soak: undefined as object | undefined };
  const keep = (): void => { if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 1)}\n`); };

  const listed = (things: object): string => Object.entries(things).map(([name, thing]) => `${name.replaceAll('_', ' ')} ${String(thing)}`).join(', ');
  console.log(`${[listed(report.machine), listed(versions)].filter((text) => text !== '').join('; ')}; ${report.rounds} rounds of ${report.seconds} s.`);
  for (const what of missing) console.log(`Not installed: ${what}.`);
  for (const { name, note } of able) if (note !== undefined) console.log(`- ${name}: ${note}`);
  const done: Done[] = [];
  for (const work of wanted) {
    const { contenders, outcomes, notes } = await measure(bench, work, able, report.rounds);
    console.log(`\n${tableOf(work, contenders, outcomes, notes)}`);
    report.works.push({ work: work.name, title: work.title, notes, outcomes });
    done.push({ work, outcomes });
    keep();
  }
  if (done.length > 0) console.log(`\n${summaryOf(done, able.map(({ name }) => name))}`);
  if (soakSeconds !== undefined) {
    const contender = await startContender(bench, sallyport, join(folder, 'soak'), 1);
    const result = await soak(bench, contender, soakSeconds, values['soak-rate'] === undefined ? undefined : Number(values['soak-rate']), told);
    await contender.running.stop();
    console.log(`\n${soakTable(result)}`);
    report.soak = result;
    keep();
  }
} catch (error) {
  // What was under way when a signal came fails, which is no news.
  if (ending === undefined) {
    console.error(error);
    process.exitCode = 1;
  }
} finally {
  await end();
}
