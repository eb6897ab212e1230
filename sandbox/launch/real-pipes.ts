import { execFile } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findTool } from './tools.ts';

const { O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;
const names = ['stdin', 'stdout', 'stderr'] as const;

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

/**
 * Pipes, where Node's own stdio would be socket pairs: `echo text > /dev/stderr` opens the pipe anew, which a socket refuses
 * (ENXIO); and never files, which the agent could reopen to read and truncate. Each is a FIFO whose name is gone before the
 * agent starts; its mode lets the agent's uid reopen it.
 */
export async function openRealPipes(): Promise<RealPipes> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-'));
  const opened: number[] = [];
  const open = (path: string, flags: number): number => {
    const descriptor = openSync(path, flags);
    opened.push(descriptor);
    return descriptor;
  };
  try {
    const paths = names.map((name) => join(folder, name));
    await promisify(execFile)(findTool('mkfifo'), ['-m', '666', ...paths], { env: {} });
    const ends = paths.map((path, index) => {
      // Open both ways first: otherwise the opening of one end waits for the other.
      const both = openSync(path, O_RDWR | O_NONBLOCK);
      try {
        const reading = open(path, index === 0 ? O_RDONLY : O_RDONLY | O_NONBLOCK);
        const writing = open(path, index === 0 ? O_WRONLY | O_NONBLOCK : O_WRONLY);
        return index === 0 ? { agent: reading, ours: writing } : { agent: writing, ours: reading };
      } finally {
        closeSync(both);
      }
    });
    const [stdin, stdout, stderr] = ends.map(({ ours }, index) => new Socket({ fd: ours, readable: index !== 0, writable: index === 0 })) as [Socket, Socket, Socket];
    const descriptors = ends.map(({ agent }) => agent) as unknown as [number, number, number];
    // The agent may end at any moment; what was still to be written is then lost, and that is no fault of ours.
    for (const socket of [stdin, stdout, stderr]) socket.on('error', () => socket.destroy());
    let isClosed = false;
    const closeAgentEnds = (): void => {
      if (!isClosed) for (const descriptor of descriptors) closeSync(descriptor);
      isClosed = true;
    };
    return {
      descriptors, stdin, stdout, stderr, closeAgentEnds,
      destroy: () => {
        closeAgentEnds();
        for (const socket of [stdin, stdout, stderr]) socket.destroy();
      },
    };
  } catch (error) {
    for (const descriptor of opened) closeSync(descriptor);
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
