import type { JailEnd } from '../../contracts/jail.ts';

export interface Verdict {
  /** The state to ask for; `undefined` when the run has ended from elsewhere. */
  readonly state: 'Done' | 'Failed' | 'Cancelled' | undefined;
  readonly reason: string | undefined;
  readonly agentCode: number | undefined;
  /** What the command ends with. */
  readonly exitCode: number;
}

/** The exit code for what was stopped by a rule: a cancel, a deadline, a limit. */
const refused = 77;

const signals: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };

/** How a run ended, from all that happened to it. */
export function verdictOf({ end, signal, elsewhere }: { readonly end: JailEnd; readonly signal: NodeJS.Signals | undefined; readonly elsewhere: string | undefined }): Verdict {
  const agentCode = end.code;
  if (elsewhere !== undefined) return { state: undefined, reason: undefined, agentCode, exitCode: refused };
  if (signal !== undefined) return { state: 'Cancelled', reason: `interrupted by ${signal}`, agentCode, exitCode: 128 + (signals[signal] ?? 15) };
  switch (end.ended_by) {
    case 'memory_limit': return { state: 'Failed', reason: 'the jail used more memory than it may', agentCode, exitCode: refused };
    case 'work_quota': return { state: 'Failed', reason: 'the work folder grew by more than it may', agentCode, exitCode: refused };
    case 'agent':
    case 'stop':
    case 'kill': {
      if (agentCode === 0) return { state: 'Done', reason: undefined, agentCode, exitCode: 0 };
      const how = end.signal !== undefined ? `was ended by ${end.signal}` : agentCode === undefined ? 'was killed' : `ended with exit code ${agentCode}`;
      return { state: 'Failed', reason: `the agent ${how}`, agentCode, exitCode: agentCode ?? 137 };
    }
  }
}
