import { spawn } from 'node:child_process';
import { closeSync, constants, fchmodSync, fstatSync, openSync, readSync } from 'node:fs';
import { Socket } from 'node:net';
import { SallyportError } from '../../contracts/errors.ts';
import { findTool } from './tools.ts';

const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/** Both ends of the agent's stdin, stdout and stderr. */
export interface RealPipes {
  /** The agent's ends, to be closed here once it has them. */
  readonly descriptors: readonly [number, number, number];
  readonly stdin: Socket;
  readonly stdout: Socket;
  readonly stderr: Socket;
  closeAgentEnds(): void;
  destroy(): void;
}

/** A shell's here-documents are pipes (dash, BusyBox, bash since 5.1). It says when they are there, and holds them until its input ends. */
const makePipes = `exec 3<<X 4<<X 5<<X
x
X
x
X
x
X
echo
read -r _`;
const held = [3, 4, 5] as const;
const content = 'x\n';

/**
 * Pipes, where Node's own stdio would be socket pairs: `echo text > /dev/stderr` opens the stream anew, which a socket refuses
 * (ENXIO); never files, which the agent could reopen to read and truncate; and no FIFO with a name, which waits to be opened. Node
 * can make none itself, so a shell does, and they are opened anew through its /proc/PID/fd.
 */
export async function openRealPipes(): Promise<RealPipes> {
  const shell = spawn(findTool('sh'), ['-c', makePipes], { env: {}, cwd: '/', stdio: ['pipe', 'pipe', 'ignore'] });
  // It may be gone before it is told to be.
  shell.stdin.on('error', () => undefined);
  const opened: number[] = [];
  const open = (descriptor: number, flags: number): number => {
    const end = openSync(`/proc/${shell.pid}/fd/${descriptor}`, flags);
    opened.push(end);
    return end;
  };
  try {
    await new Promise((resolve, reject) => {
      shell.stdout.once('data', resolve);
      shell.once('error', reject).once('exit', (code) => reject(new SallyportError('jail_unavailable', `The shell that makes the agent's pipes ended with ${code ?? 'a signal'}.`)));
    });
    const ends = held.map((descriptor, index) => {
      const reading = open(descriptor, index === 0 ? O_RDONLY : O_RDONLY | O_NONBLOCK);
      if (!fstatSync(reading).isFIFO()) {
        throw new SallyportError('missing_tool', 'The shell /bin/sh of this machine makes no pipes of its here-documents.', { next_steps: ['Install dash, or bash 5.1 or later, as /bin/sh.'] });
      }
      readSync(reading, Buffer.alloc(content.length));
      const writing = open(descriptor, index === 0 ? O_WRONLY | O_NONBLOCK : O_WRONLY);
      // For the agent to open anew; nobody else can see the pipe.
      fchmodSync(reading, 0o666);
      return index === 0 ? { agent: reading, ours: writing } : { agent: writing, ours: reading };
    });
    return assemble(ends.map(({ agent }) => agent), ends.map(({ ours }) => ours));
  } catch (error) {
    for (const descriptor of opened) closeSync(descriptor);
    throw error;
  } finally {
    shell.stdin.end();
  }
}

function assemble(agents: readonly number[], ours: readonly number[]): RealPipes {
  const [stdin, stdout, stderr] = ours.map((fd, index) => new Socket({ fd, readable: index !== 0, writable: index === 0 })) as [Socket, Socket, Socket];
  // The agent may end at any moment; what was still to be written is then lost, and that is no fault of ours.
  for (const socket of [stdin, stdout, stderr]) socket.on('error', () => socket.destroy());
  let isClosed = false;
  const closeAgentEnds = (): void => {
    if (!isClosed) for (const descriptor of agents) closeSync(descriptor);
    isClosed = true;
  };
  return {
    descriptors: agents as unknown as [number, number, number],
    stdin, stdout, stderr, closeAgentEnds,
    destroy: () => {
      closeAgentEnds();
      for (const socket of [stdin, stdout, stderr]) socket.destroy();
    },
  };
}
