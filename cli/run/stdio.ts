import type { Writable } from 'node:stream';
import type { Jail } from '../../contracts/jail.ts';
import type { LiveLine } from './live-line.ts';

/** Passes standard streams between this process and the agent, around the live line. Settles when both outputs are through. */
export async function passStdio(jail: Jail, line: LiveLine): Promise<void> {
  jail.stdin.on('error', () => { /* The agent doesn't read, or has ended. */ });
  process.stdin.on('error', () => jail.stdin.end());
  process.stdin.pipe(jail.stdin);
  await Promise.all([passOutput(jail.stdout, process.stdout, line), passOutput(jail.stderr, process.stderr, line)]);
}

function passOutput(from: NodeJS.ReadableStream, to: Writable & { readonly isTTY?: boolean }, line: LiveLine): Promise<void> {
  return new Promise((resolve) => {
    let broken = false;
    from.on('data', (chunk: Buffer) => {
      if (broken) return;
      if (to.isTTY === true) line.hide();
      if (!to.write(chunk)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
      if (to.isTTY === true) line.wrote(chunk);
    });
    // Nobody reads any more (`| head`): the agent is told as it would be without us, by a broken pipe.
    to.on('error', () => {
      broken = true;
      (from as unknown as { destroy?(): void }).destroy?.();
      resolve();
    });
    from.once('error', () => resolve());
    from.once('close', () => resolve());
    from.once('end', () => resolve());
  });
}
