import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock as clock } from '../contracts/clock.ts';
import { newId } from '../contracts/ids.ts';
import { createRunSchema } from '../contracts/run-api.ts';
import { ensureTree } from '../control-plane/audit/commands.ts';
import { ingest } from '../control-plane/audit/ingest.ts';
import { sequence } from '../control-plane/audit/sequencer.ts';
import { openDatabase } from '../control-plane/database/open.ts';
import { Streams } from '../control-plane/http/streams.ts';
import { createRun } from '../control-plane/runs/create.ts';
import type { Services } from '../control-plane/services.ts';
import { Signals } from '../control-plane/signals.ts';
import type { Egress } from '../proxy/describe/egress.ts';
import type { Exchange } from '../proxy/exchange.ts';
import { EventWriter } from '../proxy/record/egress-events.ts';
import { Journal } from '../proxy/record/journal.ts';
import { median } from './report/statistics.ts';

/**
 * What an exchange costs the control plane: segments as the real writer writes them (500 exchanges each, 64 at a time) are ingested and
 * numbered one after the other. Microseconds of time and of this process's processor time an exchange; medians of segments.
 *
 *   bin/sallyport-node bench/ingest.ts [--exchanges 50000] [--database-url postgres://...]
 */
const { values } = parseArgs({ options: { 'exchanges': { type: 'string', default: '50000' }, 'database-url': { type: 'string' } } });
const exchanges = Number(values.exchanges);
const folder = mkdtempSync(join(tmpdir(), 'sallyport-ingest-'));
/** V8 compiles the WebAssembly of an embedded database again as it gets busy, for some 20 s. */
const warmUpShare = 0.5;
const together = 64;

/** One segment after the other, as files. */
async function writeJournal(run_id: string, session_id: string): Promise<readonly string[]> {
  const paths: string[] = [];
  const own = join(folder, 'journal');
  mkdirSync(own);
  const writer = new EventWriter(clock, newId('proxy', clock.now()));
  const journal = new Journal({
    folder: own, journal_id: newId('journal', clock.now()), durability: 'crash', clock,
    onClosed: ({ path }) => { paths.push(path); }, onAvailability: () => { /* The disk is there. */ }, omission: (records) => writer.omitted(records).text,
  });
  const decision = {
    v: 1, effect: 'allow', default: false, approval: null, obligations: [],
    reasons: [{ effect: 'allow', rule: 'run.allow', pack: 'run', message: 'The run may send GET to origin.test:80.', visible_to_agent: true }],
  } as const;
  const judgement = { decision, revision: 'a'.repeat(64), input_digest: 'b'.repeat(64) };
  const address = { address: '20.30.40.50', family: 4, address_class: 'public' } as const;
  const one = async (index: number): Promise<void> => {
    const subject = { egress_id: newId('egress', clock.now()), attribution: { run_id, session_id }, assurance: 'cooperative' } as const;
    const path = `/v1/items/${index}`;
    const exchange = {
      form: { kind: 'absolute' },
      head: { method: 'GET', target: `http://origin.test${path}`, headers: ['Host', 'origin.test', 'User-Agent', 'agent/1.0', 'Accept', '*/*', 'Accept-Encoding', 'gzip', 'Proxy-Authorization', 'Basic x', 'X-Request', String(index)] },
    } as unknown as Exchange;
    const egress = { act: 'request', form: 'absolute', method: 'GET', host: 'origin.test', port: 80, path, query_keys: ['page'], credential: 'none' } as unknown as Egress;
    const decided = writer.decided(subject, exchange, egress, judgement, [address], null);
    await journal.append(decided.text);
    journal.note(writer.ended(subject, decided.event_id, {
      kind: 'completed', status: 200, address: address.address, bytes_out: 160, bytes_in: 1300, first_byte_ms: 1, duration_ms: 2, code: undefined,
      response_headers: ['Server', 'nginx', 'Date', 'Tue, 24 Nov 2026 12:00:00 GMT', 'Content-Type', 'application/json', 'Content-Length', '1024', 'Connection', 'keep-alive', 'ETag', '"1"'],
    }).text);
  };
  let next = 0;
  await Promise.all(Array.from({ length: together }, async () => { while (next < exchanges) await one(next++); }));
  await journal.end();
  return paths;
}

const database = await openDatabase({ url: values['database-url'], folder: join(folder, 'postgres') }, clock);
try {
  const services: Services = {
    database, clock, random: randomBytes, signals: new Signals(), streams: new Streams(), onFault: (error) => { throw error; }, proxyTokenSha256: '',
  };
  await ensureTree(services);
  const creation = await createRun(services, { input: createRunSchema.parse({ goal: 'bench' }), principal: { kind: 'operator', id: 'local', local: true }, correlation_id: 'bench' });
  const paths = await writeJournal(creation.run_id, newId('session', clock.now()));
  const wall: number[] = [];
  const processor: number[] = [];
  let bytes = 0;
  for (const [index, path] of paths.entries()) {
    const segment = readFileSync(path);
    bytes += segment.length;
    const began = performance.now();
    const usage = process.cpuUsage();
    const { status } = await ingest(services, segment);
    await sequence(services);
    const { user, system } = process.cpuUsage(usage);
    if (status !== 'ingested') throw new Error(`a segment was answered ${status}`);
    if (index < paths.length * warmUpShare) continue;
    const share = exchanges / paths.length;
    wall.push((performance.now() - began) * 1000 / share);
    processor.push((user + system) / share);
  }
  const all = (numbers: readonly number[]): string => `${median(numbers).toFixed(1)} us (mean ${(numbers.reduce((sum, one) => sum + one, 0) / numbers.length).toFixed(1)})`;
  console.log(`${values['database-url'] === undefined ? 'PGlite' : 'Postgres'}: ${paths.length} segments, ${Math.round(bytes / exchanges)} bytes an exchange: ${all(wall)}, of this process ${all(processor)}`);
} finally {
  await database.close();
  rmSync(folder, { recursive: true });
}
