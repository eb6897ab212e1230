import { connect, createServer, type AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Child } from './children.ts';

export const loopback = '127.0.0.1';

export const freePort = (): Promise<number> => new Promise((resolve, reject) => {
  const server = createServer().once('error', reject).listen(0, loopback, () => {
    const { port } = server.address() as AddressInfo;
    server.close(() => { resolve(port); });
  });
});

const accepts = (port: number): Promise<boolean> => new Promise((resolve) => {
  const socket = connect({ host: loopback, port });
  socket.once('connect', () => { socket.destroy(); resolve(true); }).once('error', () => { resolve(false); });
});

/** Until the child listens there. Throws when it ends instead, or after a minute: mitmproxy takes ten seconds on a busy machine. */
export async function listening(port: number, child: Child): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!await accepts(port)) {
    if (child.ended()) throw new Error(`${child.name} ended instead of listening: ${child.lastWords()}`);
    if (Date.now() > deadline) throw new Error(`${child.name} does not listen after a minute`);
    await pause(50);
  }
}
