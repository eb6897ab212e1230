import type { Canary } from '../test/helpers/canary.ts';
import type { Sightings } from './sightings.ts';
import type { Line, Story } from './timeline.ts';

/** Whether to colour. */
export type Painted = boolean;

const colour = (painted: Painted, code: string, text: string): string => painted ? `\u001b[${code}m${text}\u001b[0m` : text;
const green = '32';
const red = '31';
const bold = '1';
const dim = '2';

export function printWorld(options: readonly string[], canaries: readonly Canary[], painted: Painted): void {
  console.log(`
${colour(painted, bold, 'A jailed agent does its job, then tries to get out.')}

  A small internet, made for this: site.example (20.30.40.50) is a shop, in clear text and in TLS. Canaries
  listen where nobody may ever come: ${canaries.map(({ address, port }) => `${address}:${port}`).join(', ')}.

  sallyport run ${options.join(' ').replaceAll(' --', ' \\\n      --')} -- sh agent.sh
`);
}

/** Every line is an event of the verified export; the right column is the word of the servers that it is about. */
export function printStory({ lines }: Story, painted: Painted): void {
  console.log(colour(painted, bold, 'What it did: from the verified record, and beside it what the outside saw\n'));
  const what = Math.max(...lines.map((line) => line.what.length));
  const outcome = Math.max(...lines.map((line) => line.outcome.length));
  for (const line of lines) console.log(`  ${(line.at / 1000).toFixed(2).padStart(6)} s  ${verdict(line, painted)}  ${line.what.padEnd(what)}  ${line.outcome.padEnd(outcome)}  ${seen(line, painted)}`.trimEnd());
  console.log();
}

function verdict({ verdict: kind }: Line, painted: Painted): string {
  return kind === 'event' ? '       ' : colour(painted, kind === 'allowed' ? green : red, kind);
}

const seen = (line: Line, painted: Painted): string => line.seen === '' ? '' : line.ok ? `${colour(painted, green, '✔')} ${line.seen}` : colour(painted, red, `✘ ${line.seen}`);

/** What never came to the proxy is in no record. The agent says what it saw, the canaries whether anything came. */
export function direct(agent: string, sightings: Sightings, painted: Painted): void {
  console.log(colour(painted, bold, 'Around the proxy: the agent\'s own word, and the canaries\'\n'));
  const reached = [...sightings.canaries.values()].some((contacts) => contacts > 0);
  for (const line of agent.split('\n')) {
    const [name = '', saw = ''] = line.split('\t');
    if (!['a direct connection', 'a datagram', 'a look-up'].includes(name)) continue;
    console.log(`           ${name.padEnd(22)} ${saw.padEnd(14)} ${reached ? colour(painted, red, '✘ see below') : `${colour(painted, green, '✔')} nothing arrived`}`);
  }
  console.log();
}

export interface End {
  readonly story: Story;
  readonly faults: readonly string[];
  /** What `sallyport run` and `sallyport audit verify` said. */
  readonly report: string;
  readonly verified: string;
}

export function printEnd({ story, faults, report, verified }: End, painted: Painted): void {
  const quote = (text: string): string => text.trimEnd().split('\n').map((line) => `  ${colour(painted, dim, '│')} ${line}`).join('\n');
  console.log(`${colour(painted, bold, 'What sallyport run said at its end')}\n\n${quote(report)}\n`);
  console.log(`${colour(painted, bold, 'What sallyport audit verify said of the export')}\n\n${quote(verified)}\n`);
  if (faults.length === 0) {
    console.log(`${colour(painted, green, `Nothing got out that policy did not allow: ${story.allowed} requests allowed and arrived, ${story.refused} refused and nobody saw them.`)}
Your own first run:
  mkdir /tmp/job && npx sallyport run --work /tmp/job --give-work --allow example.org:GET -- curl -s https://example.org/`);
    return;
  }
  console.log(colour(painted, red, 'This is not as it must be:'));
  for (const fault of faults) console.log(`  ${fault}`);
}
