import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemClock as clock } from '../contracts/clock.ts';
import { spendableMeters, type Spent } from '../contracts/budget.ts';
import { runPolicySchema } from '../contracts/run-policy.ts';
import { packBundle } from '../engine/bundle.ts';
import { loadBundle } from '../engine/load-bundle.ts';
import { Policy } from '../proxy/decide/policy.ts';
import { OwnAddresses } from '../proxy/describe/own-addresses.ts';
import { AddressBook } from '../proxy/enforce/addresses.ts';
import { DialRules } from '../proxy/enforce/dial.ts';
import { NameResolver } from '../proxy/enforce/resolver.ts';
import { RunSpending } from '../proxy/enforce/spending.ts';
import type { Exchange, RequestHead, Transfer } from '../proxy/exchange.ts';
import { FailedAttempts } from '../proxy/identify/attempts.ts';
import { handle, type PipelineContext } from '../proxy/pipeline.ts';
import { startRecorder } from '../proxy/record/recorder.ts';
import { Runs } from '../proxy/runs.ts';

/**
 * What the checks cost a request without any wire: identify, describe, decide, enforce, record (a real journal on disk), 64 at a time,
 * with a forwarder that answers at once. Microseconds of processor time a request.
 *
 *   bin/sallyport-node bench/checks.ts [--requests 50000] [--rounds 11]
 */
const { values } = parseArgs({ options: { requests: { type: 'string', default: '50000' }, rounds: { type: 'string', default: '11' } } });
const requests = Number(values.requests);
const folder = mkdtempSync(join(tmpdir(), 'sallyport-checks-'));
const bundle = await loadBundle(fileURLToPath(new URL('../policies', import.meta.url)));
const recorder = await startRecorder({
  folder, slot: 0, durability: 'crash', clock, maxBytes: 1 << 30,
  send: () => Promise.resolve({ journal_id: '', sequence: 0, status: 'ingested' }),
});
const { journal, events, shipping } = recorder;
// What a seal covers is deleted, so that the disk does not fill up.
const sealing = setInterval(() => { void shipping.sealed(journal.journal_id, Number.MAX_SAFE_INTEGER); }, 200);
const policy = new Policy({ clock, fetch: () => Promise.resolve(Buffer.from(packBundle(bundle))), onReplaced: () => undefined, onSwapped: () => undefined });
await policy.load(bundle.revision);
const draw = ({ wanted }: { readonly wanted: Spent }): Promise<never> => Promise.resolve({
  granted: Object.fromEntries(Object.entries(wanted).map(([meter, units]) => [meter, units * 1000])), exhausted: [], balances: Object.fromEntries(spendableMeters.map((meter) => [meter, { limit: 1e12, used: 0, reserved: 0, remaining: 1e12 }])),
} as never);
const runs = new Runs({
  clock, onLive: () => undefined, onEnded: () => undefined,
  makeSpending: ({ run_id, epoch }) => new RunSpending({ run_id, journal_id: journal.journal_id, clock, draw, late: () => undefined, giveUp: () => Promise.resolve() as never }, epoch),
});
runs.apply({
  run_id: 'run_019dc0a0-0000-7000-8000-000000000000', session_id: 'ses_019dc0a0-0000-7000-8000-000000000000', short_id: 's', agent: 'bench', state: 'Active', epoch: 1,
  token_sha256: 'a'.repeat(64), channel: 'jail', labels: {}, taint: null, deadline_at: Date.now() + 3_600_000, limits: {},
  policy: runPolicySchema.parse({ allow: [{ id: 'a', host: 'origin.test', ports: [80], methods: ['GET'], path_prefix: '/' }], resolve: [{ host: 'origin.test', port: 80, address: '20.30.40.50' }] }),
});
const own = new OwnAddresses([]);
const decide: PipelineContext['decide'] = (question) => policy.decide(question);
const responseHeaders = ['Server', 'nginx', 'Date', 'Tue, 24 Nov 2026 12:00:00 GMT', 'Content-Type', 'application/json', 'Content-Length', '1024', 'Connection', 'keep-alive', 'ETag', '"1"'];
const context: PipelineContext = {
  clock, runs, own, journal, events, decide,
  attempts: new FailedAttempts(() => clock.monotonic()), refusals: new FailedAttempts(() => clock.monotonic()),
  unready: () => policy.unready(), addresses: new AddressBook(new NameResolver(clock), own),
  dialRules: new DialRules({ decide, revision: () => policy.revision, isOfPlace: () => policy.dialIsOfPlace }, clock),
  serveInternal: () => { throw new Error('nothing internal here'); },
  acceptInside: () => { throw new Error('no CONNECT here'); },
  refuseInside: () => { throw new Error('no CONNECT here'); },
  forward: (permit) => {
    permit.spending.take('bytes_out', 120);
    if (!permit.stillValid()) throw new Error('not valid');
    permit.spending.take('bytes_in', 1250);
    return Promise.resolve({ kind: 'completed', status: 200, response_headers: responseHeaders, address: '20.30.40.50', bytes_out: 120, bytes_in: 1250, first_byte_ms: 0.4, duration_ms: 0.5, code: undefined });
  },
};

const headOf = (path: string): RequestHead => ({
  method: 'GET', target: `http://origin.test${path}`, version: '1.1', framing: { kind: 'none' }, expects_continue: false, upgrade: undefined,
  headers: ['Host', 'origin.test', 'User-Agent', 'bench/1.0', 'Accept', '*/*', 'Accept-Encoding', 'gzip', 'X-Request', '1'],
});
const source = { kind: 'run', run_id: 'run_019dc0a0-0000-7000-8000-000000000000' } as const;
const exchangeOf = (head: RequestHead): Exchange => ({
  source, head, form: { kind: 'absolute' }, gone: new AbortController().signal, transfer: {} as Transfer,
  refuse: (refusal) => { throw new Error(`${refusal.code}: ${refusal.detail}`); }, openTunnel: () => { throw new Error('no tunnel'); },
});

async function round(headFor: (index: number) => RequestHead, count: number): Promise<number> {
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < count) await handle(context, { ...template, head: headFor(next++) });
  };
  const template = exchangeOf(headOf('/'));
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: 64 }, one));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

const same = headOf('/v1/items');
const paths = Array.from({ length: 1000 }, (_, index) => `/v1/items/${index}`);
const kinds: Readonly<Record<string, (index: number) => RequestHead>> = { 'the same head': () => same, 'a head of its own': (index) => headOf(paths[index % paths.length]!) };
for (const headFor of Object.values(kinds)) await round(headFor, requests / 4);
const found = new Map<string, number[]>(Object.keys(kinds).map((kind) => [kind, []]));
for (let index = 0; index < Number(values.rounds); index++) {
  for (const [kind, headFor] of Object.entries(kinds)) found.get(kind)!.push(await round(headFor, requests));
}
for (const [kind, all] of found) {
  all.sort((a, b) => a - b);
  console.log(`${kind}: median ${all[all.length >> 1]!.toFixed(1)} us (${all[0]!.toFixed(1)}..${all.at(-1)!.toFixed(1)})`);
}
clearInterval(sealing);
await recorder.end(true);
await shipping.end();
rmSync(folder, { recursive: true });
process.exit(0);
