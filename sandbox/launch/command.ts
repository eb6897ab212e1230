import type { Identity } from '../identity.ts';
import { findTool } from './tools.ts';

/** A folder or file that root makes reachable for the agent's uid, in a mount namespace of this launch alone. */
export interface StagedMount {
  readonly source: string;
  readonly target: string;
}

export interface CommandInput {
  readonly identity: Identity;
  /** `cgroup.procs` of each group that the jail is to start in. */
  readonly cgroups: readonly string[];
  readonly mounts: readonly StagedMount[];
  /** Options of prlimit(1). */
  readonly resources: readonly string[];
  readonly bubblewrap: readonly string[];
}

/**
 * Joins the groups before anything is forked (a process moved later would leave its children behind), mounts, and becomes the
 * rest of its arguments.
 */
const preparation = `set -e
while [ "$1" != -- ]; do
  case $1 in
    join) echo 0 > "$2"; shift 2 ;;
    bind) "$2" --no-canonicalize --bind "$3" "$4"; shift 4 ;;
  esac
done
shift
exec "$@"`;

/** The command line that starts bwrap as the right uid, in its groups, under its limits. It holds no secret: anyone may read it. */
export function launchCommand({ identity, cgroups, mounts, resources, bubblewrap }: CommandInput): readonly string[] {
  const drop = identity.dropped
    ? [findTool('setpriv'), '--reuid', String(identity.uid), '--regid', String(identity.gid), '--clear-groups', '--inh-caps=-all', '--']
    : [];
  const limited = [...drop, findTool('prlimit'), ...resources, '--', ...bubblewrap];
  if (cgroups.length === 0 && mounts.length === 0) return limited;
  const steps = [...cgroups.flatMap((path) => ['join', path]), ...mounts.flatMap(({ source, target }) => ['bind', findTool('mount'), source, target])];
  const prepared = [findTool('sh'), '-c', preparation, 'sh', ...steps, '--', ...limited];
  if (mounts.length === 0) return prepared;
  return [findTool('unshare'), '--mount', '--propagation', 'private', '--', ...prepared];
}
