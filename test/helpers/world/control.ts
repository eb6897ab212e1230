import { createServer, request } from 'node:http';
import { once } from 'node:events';
import type { DnsAnswer, DnsZones } from './dns-zones.ts';

/** What test processes ask of the process that keeps the world: JSON over HTTP on a Unix socket. */
export type ControlRequest =
  | { readonly operation: 'dns_set'; readonly name: string; readonly answer: DnsAnswer }
  | { readonly operation: 'dns_remove'; readonly suffix: string }
  | { readonly operation: 'dns_queries'; readonly suffix: string }
  /** The next public address that nobody else has. */
  | { readonly operation: 'address' }
  /** Starts the run's Postgres when it isn't running; answers where its socket is. */
  | { readonly operation: 'postgres' };

export interface ControlContext {
  readonly zones: DnsZones;
  /** Gives the folder of the socket. */
  postgres(): Promise<string>;
}

export async function serveControl(path: string, context: ControlContext): Promise<void> {
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      perform(JSON.parse(Buffer.concat(chunks).toString()) as ControlRequest, context).then(
        (result) => response.end(JSON.stringify({ result })),
        (error: unknown) => response.writeHead(500).end(JSON.stringify({ problem: error instanceof Error ? error.message : String(error) })),
      );
    });
  });
  server.listen(path);
  await once(server, 'listening');
}

async function perform(asked: ControlRequest, { zones, postgres }: ControlContext): Promise<unknown> {
  switch (asked.operation) {
    case 'dns_set': return zones.set(asked.name, asked.answer);
    case 'dns_remove': return zones.remove(asked.suffix);
    case 'dns_queries': return zones.queries(asked.suffix);
    case 'address': return nextAddress();
    case 'postgres': return postgres();
  }
}

let given = 0;

/** From 20.30.41.1 to 20.30.47.254, and round again: no run has that many at once. */
function nextAddress(): string {
  const index = given++ % (7 * 254);
  return `20.30.${41 + Math.floor(index / 254)}.${1 + (index % 254)}`;
}

/** Asks the keeper at `path`; rejects with its problem. */
export async function askControl(path: string, asked: ControlRequest): Promise<unknown> {
  const outgoing = request({ socketPath: path, method: 'POST', path: '/', agent: false });
  outgoing.end(JSON.stringify(asked));
  const [response] = await once(outgoing, 'response') as [AsyncIterable<Buffer>];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const said = JSON.parse(Buffer.concat(chunks).toString()) as { readonly result?: unknown; readonly problem?: string };
  if (said.problem !== undefined) throw new Error(said.problem);
  return said.result;
}
