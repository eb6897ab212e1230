import { Agent, request } from 'node:http';
import type { Lifetime } from './lifetime.ts';

export interface LoadOptions {
  readonly port: number;
  readonly host: string;
  readonly authorization: string;
  readonly clients: number;
  /** One connection for each client as long as the proxy keeps it, or one for each request. No request is tried twice. */
  readonly keepAlive: boolean;
}

export interface Load {
  readonly answered: number;
  /** What went wrong, in words, with the time at which it began. */
  readonly failures: readonly { readonly at: number; readonly what: string }[];
  /** Settles when the last request has its answer. */
  stop(): Promise<void>;
}

/** Clients that ask one after the other through the proxy until they are told to stop. */
export function startLoad(lifetime: Lifetime, { port, host, authorization, clients, keepAlive }: LoadOptions): Load {
  const agent = new Agent({ keepAlive, maxSockets: clients });
  const failures: { at: number; what: string }[] = [];
  let answered = 0;
  let sent = 0;
  const state = { on: true };
  const one = (): Promise<void> => new Promise((resolve) => {
    const at = performance.now();
    const failed = (what: string): void => {
      failures.push({ at, what });
      setTimeout(resolve, 20);
    };
    const outgoing = request({ agent, host: '127.0.0.1', port, path: `http://${host}/${++sent}`, timeout: 60_000, headers: { host, 'proxy-authorization': authorization } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; });
      response.on('error', (error) => failed(`answer: ${error.message}`));
      response.on('end', () => {
        if (response.statusCode !== 200) return failed(`${response.statusCode} ${text.slice(0, 300)}`);
        answered++;
        resolve();
      });
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer within 60 s')));
    outgoing.on('error', (error) => failed(error.message));
    outgoing.end();
  });
  const all = Array.from({ length: clients }, async () => { while (state.on) await one(); });
  const stop = async (): Promise<void> => {
    state.on = false;
    await Promise.all(all);
    agent.destroy();
  };
  lifetime.teardown(() => { state.on = false; agent.destroy(); });
  return { get answered() { return answered; }, failures, stop };
}
