/** The `sallyport` command (by way of start.cjs): names the commands; each is loaded only when it is the one. */
import { Command, CommanderError } from 'commander';
import type { DefineCommand } from './command.ts';
import { readEnvironment } from './config.ts';
import { exitCodeOf, failureLines, localProblem, UsageError } from './failure.ts';

interface Entry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<{ readonly define: DefineCommand }>;
}

const groups: Readonly<Record<string, string>> = {
  runs: 'start, see and stop runs',
  audit: 'read, export and verify the chain',
  policy: 'check, test and build policies',
  ca: 'the authority that vouches for the proxy where it looks into TLS',
};

const entries: readonly Entry[] = [
  { name: 'run', summary: 'run a command in a jail; its only way out is the proxy', load: () => import('./commands/run.ts') },
  { name: 'up', summary: 'start control plane and proxy', load: () => import('./commands/up.ts') },
  { name: 'down', summary: 'end a running up or proxy', load: () => import('./commands/down.ts') },
  { name: 'restart', summary: 'replace the proxy workers one after the other; what is new waits, what is under way gets --drain seconds', load: () => import('./commands/restart.ts') },
  { name: 'proxy', summary: 'a proxy alone, for a control plane on another machine', load: () => import('./commands/proxy.ts') },
  { name: 'proxy token', summary: 'the token that a proxy elsewhere needs', load: () => import('./commands/proxy-token.ts') },
  { name: 'runs create', summary: 'a run for an agent that is not jailed', load: () => import('./commands/runs-create.ts') },
  { name: 'runs list', summary: 'runs, newest first', load: () => import('./commands/runs-list.ts') },
  { name: 'runs show', summary: 'one run, and what it did', load: () => import('./commands/runs-show.ts') },
  { name: 'runs cancel', summary: 'stop a run, its tunnels and its jail', load: () => import('./commands/runs-cancel.ts') },
  { name: 'audit verify', summary: 'check an export against itself and against seals, offline', load: () => import('./commands/audit-verify.ts') },
  { name: 'audit tail', summary: 'the latest events', load: () => import('./commands/audit-tail.ts') },
  { name: 'audit export', summary: 'the whole chain as JSON lines', load: () => import('./commands/audit-export.ts') },
  { name: 'policy check', summary: 'find mistakes in policies', load: () => import('./commands/policy-check.ts') },
  { name: 'policy fmt', summary: 'format policies', load: () => import('./commands/policy-fmt.ts') },
  { name: 'policy test', summary: 'run the policies\' tests', load: () => import('./commands/policy-test.ts') },
  { name: 'policy build', summary: 'compile policies into the bundle that proxies load', load: () => import('./commands/policy-build.ts') },
  { name: 'ca show', summary: 'the authorities: who signs now, who will, until when each is trusted', load: () => import('./commands/ca-show.ts') },
  { name: 'ca export', summary: 'certificates of all authorities that clients outside of jails have to trust', load: () => import('./commands/ca-export.ts') },
  { name: 'ca rotate', summary: 'make the next authority: trusted at once, it signs when the overlap is over', load: () => import('./commands/ca-rotate.ts') },
  { name: 'doctor', summary: 'what this machine can and cannot isolate, and what to do', load: () => import('./commands/doctor.ts') },
];

async function main(argv: readonly string[]): Promise<void> {
  const environment = readEnvironment();
  const words = argv.filter((word) => !word.startsWith('-')).slice(0, 2);
  const program = configure(new Command('sallyport'), 'The one guarded way out for AI agents.', 'sallyport run --allow example.org:GET -- curl -s https://example.org/');
  program.version('0.1.0', '--version');
  const chosen = entries.filter(({ name }) => name === words[0] || name === words.join(' '));
  // The others are there to be listed, and suggested.
  for (const { name, summary, load } of chosen.length > 0 ? chosen : entries) {
    const [first = '', second] = name.split(' ');
    const parent = second === undefined ? program : group(program, first);
    const command = configure(parent.command(second ?? first), summary);
    if (chosen.length > 0) (await load()).define(command, environment);
  }
  await program.parseAsync(argv, { from: 'user' });
}

function group(program: Command, name: string): Command {
  const known = program.commands.find((command) => command.name() === name);
  if (known !== undefined) return known;
  const made = configure(program.command(name), groups[name] ?? '');
  return made.action(() => {
    throw new UsageError([`sallyport ${name} needs one of ${made.commands.map((command) => command.name()).join(', ')}.`]);
  });
}

/** Commander throws instead of ending the process, and leaves the words to us. */
function configure(command: Command, description: string, example?: string): Command {
  command.description(description).exitOverride().configureOutput({ writeErr: () => { /* See failure.ts. */ } }).helpCommand(false);
  command.enablePositionalOptions();
  return example === undefined ? command : command.addHelpText('after', `\nExample:\n  ${example}`);
}

function named(argv: readonly string[]): string {
  const words = argv.filter((word) => !word.startsWith('-'));
  return entries.map(({ name }) => name).find((name) => name === words[0] || name === words.slice(0, 2).join(' '))
    ?? Object.keys(groups).find((name) => name === words[0]) ?? '';
}

function fail(thrown: unknown, argv: readonly string[]): number {
  if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
  const failure = !(thrown instanceof CommanderError) ? thrown
    : new UsageError([thrown.code === 'commander.help' ? 'Name a command, as in: sallyport run --allow example.org:80:GET -- COMMAND.' : sentence(thrown.message)]);
  const options = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : argv.length);
  process.stderr.write(options.includes('--json') ? `${JSON.stringify(localProblem(failure))}\n` : `${failureLines(failure, named(argv)).join('\n')}\n`);
  return exitCodeOf(failure);
}

/** Commander's `error: unknown option '--alow'\n(Did you mean --allow?)`. */
function sentence(message: string): string {
  const text = message.replace(/^error: /, '').replaceAll('\n', ' ').trim();
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.?)!]$/.test(capital) ? capital : `${capital}.`;
}

const argv = process.argv.slice(2);
// A reader that has seen enough (`| head`) is no failure; an agent's reader is the agent's business (run/stdio.ts).
if (named(argv) !== 'run') process.stdout.on('error', (error: NodeJS.ErrnoException) => { process.exit(error.code === 'EPIPE' ? 0 : 70); });
try {
  await main(argv);
} catch (thrown) {
  process.exitCode = fail(thrown, argv);
}
// What a command has started it has ended; idle handles (a standard input that nobody closes) must not keep it. Outputs are written
// synchronously here (files, terminals and pipes on Linux), so nothing is lost.
process.exit();
