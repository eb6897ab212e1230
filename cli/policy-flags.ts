import type { Command } from 'commander';
import type { Channel } from '../contracts/run.ts';
import { collect } from './command.ts';
import { UsageError } from './failure.ts';
import { readPolicyOptions, type PolicyFlags, type PolicyOptions } from './policy-options.ts';

export function policyFlags(command: Command): Command {
  return command
    .option('--allow <host[:ports][:methods][:path]>', 'what may be reached; ports 80,443 and methods GET,HEAD unless given; methods may be * or TUNNEL (bytes unseen)', collect)
    .option('--allow-address <cidr>', 'a non-public range that may be dialled', collect)
    .option('--resolve <host:port:address>', 'dial this address for that name and port', collect)
    .option('--pack <name>', 'a policy pack that applies to the run', collect)
    .option('--param <name.key=value>', 'a parameter of a pack', collect)
    .option('--budget <meter=n,...>', 'requests, bytes_out, bytes_in, wall_clock; units as in 10MiB, 5m', collect)
    .option('--intercept', 'look into TLS, so that what is inside is judged; the agent has to trust our authority (default in a jail, which does)')
    .option('--no-intercept', 'do not look into TLS (default without a jail)')
    .option('--observe', 'let everything through but what core denies, and record what would have been refused');
}

export function policyOf(flags: PolicyFlags, channel: Channel): PolicyOptions & { readonly ok: true } {
  const options = readPolicyOptions(flags, channel);
  if (!options.ok) throw new UsageError(options.sentences, options.code);
  return options;
}
