/** The demo itself, inside its small internet. */
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startCanary, type Canary } from '../test/helpers/canary.ts';
import { startOrigin } from '../test/helpers/origin.ts';
import { addresses, setName } from '../test/helpers/world.ts';
import { command, DemoFailure, mustSucceed } from './command.ts';
import { demoLifetime } from './lifetime.ts';
import { readRecord } from './record.ts';
import { startSecureSite } from './secure-site.ts';
import { shop } from './shop.ts';
import { lookAround, siteName, type Site } from './sightings.ts';
import { direct, printEnd, printStory, printWorld, type Painted } from './show.ts';
import { jobFaults, tell } from './timeline.ts';

const requests = 5;
const paint: Painted = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
const lifetime = demoLifetime();

try {
  process.exitCode = await play();
} catch (error) {
  if (!(error instanceof DemoFailure)) throw error;
  console.error(error.message);
  process.exitCode = 70;
} finally {
  await lifetime.end();
}
process.exit();

async function play(): Promise<number> {
  const { sites, canaries, authority } = await openWorld();
  // To the machines of this small internet, it is one of the public authorities.
  process.env['SSL_CERT_FILE'] = authority;
  const folder = await mkdtemp(join(tmpdir(), 'demo-'));
  lifetime.teardown(() => rm(folder, { recursive: true, force: true }));
  const data = join(folder, 'd');
  const work = join(folder, 'work');
  await cp(fileURLToPath(new URL('./agent', import.meta.url)), work, { recursive: true });

  const options = ['--allow', 'site.example:80,443:GET,POST', '--allow', 'intranet.example:80:GET', '--budget', `requests=${requests}`];
  printWorld(options, canaries, paint);
  lifetime.teardown(() => command(['down', '--data', data]));
  const report = join(folder, 'report.json');
  const run = await command(['run', '--data', data, ...options, '--work', work, '--give-work', '--report', report, '--name', 'the demo', '--', 'sh', 'agent.sh']);
  const { run_id } = JSON.parse(await readFile(report, 'utf8').catch(async () => { throw new DemoFailure(`The run gave no report:\n${run.stderr}\n${await logOf(data)}`); })) as { readonly run_id: string };

  const trail = join(folder, 'trail.jsonl');
  await mustSucceed(['audit', 'export', '--data', data, '--out', trail]);
  const verified = await mustSucceed(['audit', 'verify', '--export', trail, '--key', join(data, 'keys', 'seal.pub'), '--seal', join(data, 'seals.jsonl')]);

  const seen = lookAround(sites, canaries);
  const story = tell(await readRecord(trail, run_id), seen);
  printStory(story, paint);
  direct(run.stdout, seen, paint);
  const faults = [...story.holes, ...jobFaults(story, { requests, exitCode: run.code })];
  printEnd({ story, faults, report: run.stderr, verified: verified.stdout }, paint);
  return faults.length === 0 ? 0 : 1;
}

/** The folder goes with the demo, so what its log says is told now. */
async function logOf(data: string): Promise<string> {
  return (await readFile(join(data, 'log', 'sallyport.log'), 'utf8').catch(() => '')).slice(-4000);
}

/** The site, in clear text and in TLS, and a listener at every place that the agent must not reach. */
async function openWorld(): Promise<{ readonly sites: readonly Site[]; readonly canaries: readonly Canary[]; readonly authority: string }> {
  await setName(siteName, { kind: 'addresses', addresses: [addresses.public] });
  await setName('other.example', { kind: 'addresses', addresses: [addresses.public2] });
  await setName('intranet.example', { kind: 'addresses', addresses: [addresses.private10] });
  const { requests, connections } = await startOrigin(lifetime, { address: addresses.public, respond: shop });
  const secure = await startSecureSite(lifetime, siteName, addresses.public);
  const canaries: Canary[] = [];
  for (const [address, port] of [
    [addresses.public2, 80], [addresses.public2, 443], [addresses.public, 8080], [addresses.private10, 80], [addresses.metadata, 80], [addresses.metadata, 53],
  ] as const) canaries.push(await startCanary(lifetime, address, port));
  return { sites: [{ scheme: 'http', requests, connections: () => connections.length }, secure], canaries, authority: secure.authority };
}
