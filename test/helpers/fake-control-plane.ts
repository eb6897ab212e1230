import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { spendableMeters, type Amounts, type SpendableMeter } from '../../contracts/budget.ts';
import type { Acknowledgement, Draw, DrawAnswer, RunSnapshot, StreamMessage } from '../../contracts/data-plane.ts';
import { sha256Hex } from '../../contracts/digest.ts';
import type { Event } from '../../contracts/event.ts';
import { newId } from '../../contracts/ids.ts';
import { runPolicySchema } from '../../contracts/run-policy.ts';
import { parseSegment } from '../../contracts/segment.ts';
import { packBundle, revisionOf } from '../../engine/bundle.ts';
import { loadBundle } from '../../engine/load-bundle.ts';
import type { Lifetime } from './lifetime.ts';
import { until } from './wait.ts';

const policies = fileURLToPath(new URL('../../policies', import.meta.url));

/** A run of the fake, with the token that only its agent would know. */
export interface FakeRun {
  readonly snapshot: RunSnapshot;
  readonly token: string;
  /** `Basic ...` */
  readonly authorization: string;
}

export interface FakeRunOptions {
  readonly allow?: readonly { readonly host: string; readonly ports: readonly number[]; readonly methods: readonly string[]; readonly path_prefix?: string }[];
  readonly policy?: object;
  readonly limits?: Amounts;
  readonly channel?: 'jail' | 'credentials';
  readonly deadline_at?: number;
}

/**
 * The data-plane half of a control plane, for unit tests of the proxy: one process, in memory, with a ledger and an ingest that
 * are simple enough to be right. It can be told to fail. End-to-end tests use the real one.
 */
export class FakeControlPlane {
  readonly socketPath: string;
  readonly token: string = `sp_px_${randomBytes(8).toString('hex')}`;
  /** All ingested events, in order. */
  readonly events: Event[] = [];
  readonly acknowledged: Acknowledgement[] = [];
  readonly draws: Draw[] = [];
  /** Called before an answer; what it throws becomes a broken connection. */
  fail: ((path: string) => void) | undefined;
  /** Answers what agents ask by `sallyport.internal`. */
  chat: ((request: IncomingMessage, body: Buffer, response: ServerResponse) => void) | undefined;
  /** Answers allowances late, by this promise. */
  holdDraws: Promise<unknown> | undefined;
  incarnation = 'inc-1';
  /** What the next `hello` says. */
  snapshotMaxAgeMs = 300_000;
  #bundle: { readonly revision: string; readonly packed: string };
  readonly #server: Server;
  readonly #streams = new Set<ServerResponse>();
  readonly #runs = new Map<string, FakeRun>();
  readonly #answers = new Map<string, DrawAnswer>();
  readonly #used = new Map<string, number>();
  readonly #reserved = new Map<string, number>();
  readonly #journals = new Map<string, { next: number; digests: string[] }>();
  #version = 0;

  constructor(socketPath: string, bundle: { readonly revision: string; readonly packed: string }) {
    this.socketPath = socketPath;
    this.#bundle = bundle;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  async listen(): Promise<void> {
    this.#server.listen(this.socketPath);
    await once(this.#server, 'listening');
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  get revision(): string { return this.#bundle.revision; }
  get version(): number { return this.#version; }

  createRun(options: FakeRunOptions = {}): FakeRun {
    const token = `sp_ag_1_${randomBytes(12).toString('hex')}`;
    const run_id = newId('run', Date.now());
    const snapshot: RunSnapshot = {
      run_id, session_id: newId('session', Date.now()), short_id: randomBytes(4).toString('hex'), agent: 'agent', state: 'Active', epoch: 1,
      token_sha256: sha256Hex(token), channel: options.channel ?? 'credentials',
      policy: runPolicySchema.parse({ allow: (options.allow ?? []).map((entry, index) => ({ id: `a${index}`, path_prefix: null, ...entry })), ...options.policy }),
      labels: {}, taint: null, deadline_at: options.deadline_at ?? Date.now() + 3_600_000, limits: options.limits ?? {},
    };
    const run: FakeRun = { snapshot, token, authorization: `Basic ${Buffer.from(`${run_id}:${token}`).toString('base64')}` };
    this.#put(run);
    return run;
  }

  /** Changes a run and tells the proxies. */
  update(run: FakeRun, change: Partial<RunSnapshot>): FakeRun {
    const known = this.#runs.get(run.snapshot.run_id)!;
    const updated = { ...known, snapshot: { ...known.snapshot, ...change } };
    this.#put(updated);
    return updated;
  }

  /** Forgets a run without a word, as when its end was missed. */
  forget(run: FakeRun): void {
    this.#runs.delete(run.snapshot.run_id);
  }

  push(message: StreamMessage): void {
    for (const stream of this.#streams) stream.write(`${JSON.stringify(message)}\n`);
  }

  /** Another policy, or the same with other data: `change` gets all packs' data and gives it back changed. */
  async publish(change: (packs: Record<string, Record<string, unknown>>) => void): Promise<void> {
    const bundle = await loadBundle(policies);
    const data = JSON.parse(bundle.data) as { packs: Record<string, Record<string, unknown>> };
    change(data.packs);
    const text = JSON.stringify(data);
    const revision = revisionOf(bundle.manifest, bundle.wasm, text);
    this.#bundle = { revision, packed: packBundle({ ...bundle, data: text, revision }) };
    this.push({ type: 'bundle', version: ++this.#version, revision });
  }

  sealAll(): void {
    for (const [journal_id, { next }] of this.#journals) if (next > 0) this.push({ type: 'sealed', journal_id, through: next - 1 });
  }

  /** Ends all streams. */
  hangUp(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  async acknowledgedAll(): Promise<void> {
    await until(`acknowledgement of version ${this.#version}`, () => this.acknowledged.some(({ version, revision }) => version >= this.#version && revision === this.revision));
  }

  /** Events of one run. */
  of({ snapshot }: FakeRun, type?: string): readonly Event[] {
    return this.events.filter((event) => event.run_id === snapshot.run_id && (type === undefined || event.type === type));
  }

  async ingested(what: string, match: (events: readonly Event[]) => boolean): Promise<void> {
    await until(`at the control plane: ${what}`, () => match(this.events));
  }

  used(run: FakeRun, meter: SpendableMeter): number {
    return this.#used.get(`${run.snapshot.run_id} ${meter}`) ?? 0;
  }

  reserved(run: FakeRun, meter: SpendableMeter): number {
    return this.#reserved.get(`${run.snapshot.run_id} ${meter}`) ?? 0;
  }

  #put(run: FakeRun): void {
    this.#runs.set(run.snapshot.run_id, run);
    this.push({ type: 'run', version: ++this.#version, run: run.snapshot });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', 'http://control-plane');
    const body = await readAll(request);
    this.fail?.(pathname);
    if (request.headers.authorization !== `Bearer ${this.token}`) return problem(response, 401, { code: 'unauthenticated' });
    if (request.headers['sallyport-run'] !== undefined && this.chat !== undefined) return this.chat(request, body, response);
    const json = (): unknown => JSON.parse(body.toString());
    switch (pathname) {
      case '/data-plane/stream': return this.#stream(response);
      case `/data-plane/bundles/${this.revision}`: return void response.end(this.#bundle.packed);
      case '/data-plane/acknowledgements':
        this.acknowledged.push(json() as Acknowledgement);
        return void response.end('{}');
      case '/data-plane/allowances':
        await this.holdDraws;
        return void response.end(JSON.stringify(this.#draw(json() as Draw)));
      case '/data-plane/events': return this.#ingest(body, response);
      default: return problem(response, 404, { code: 'not_found' });
    }
  }

  #stream(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    const write = (message: StreamMessage): void => void response.write(`${JSON.stringify(message)}\n`);
    write({ type: 'hello', protocol: 1, incarnation: this.incarnation, snapshot_max_age_ms: this.snapshotMaxAgeMs, revision: this.revision });
    for (const { snapshot } of this.#runs.values()) if (!['Done', 'Failed', 'Cancelled'].includes(snapshot.state)) write({ type: 'run', version: this.#version, run: snapshot });
    write({ type: 'synced', version: this.#version });
    this.#streams.add(response);
    response.on('close', () => this.#streams.delete(response));
  }

  #draw(draw: Draw): DrawAnswer {
    const known = this.#answers.get(draw.draw_id);
    if (known !== undefined) return known;
    this.draws.push(draw);
    const run = this.#runs.get(draw.run_id);
    const granted: Partial<Record<SpendableMeter, number>> = {};
    const exhausted: SpendableMeter[] = [];
    const balances: Record<string, unknown> = {};
    for (const meter of spendableMeters) {
      const wanted = draw.wanted[meter];
      if (wanted === undefined) continue;
      const key = `${draw.run_id} ${meter}`;
      const limit = run?.snapshot.limits[meter] ?? null;
      const used = this.#used.get(key) ?? 0;
      const reserved = this.#reserved.get(key) ?? 0;
      const remaining = run === undefined || run.snapshot.epoch !== draw.epoch || run.snapshot.state !== 'Active' ? 0 : limit === null ? Number.MAX_SAFE_INTEGER : limit - used - reserved;
      const slice = Math.min(Math.floor(remaining / 4), meter === 'requests' ? 64 : 1024 * 1024);
      const given = Math.min(remaining, Math.max(wanted, slice));
      granted[meter] = given;
      if (given < wanted) exhausted.push(meter);
      this.#reserved.set(key, reserved + given);
      balances[meter] = { limit, used, reserved: reserved + given, remaining: limit === null ? null : remaining - given };
    }
    const answer = { granted, exhausted, balances } as DrawAnswer;
    this.#answers.set(draw.draw_id, answer);
    return answer;
  }

  #ingest(body: Buffer, response: ServerResponse): void {
    const parsed = parseSegment(body);
    if (!parsed.ok || !parsed.segment.closed) return problem(response, 422, { code: 'invalid_request', detail: parsed.ok ? 'not closed' : parsed.reason });
    const { header: { journal_id, sequence, previous }, digest, events } = parsed.segment;
    const journal = this.#journals.get(journal_id) ?? { next: 0, digests: [] };
    this.#journals.set(journal_id, journal);
    const status = sequence < journal.next ? 'known' : 'ingested';
    if (sequence > journal.next) return problem(response, 409, { code: 'journal_gap', expected: journal.next });
    if (status === 'known' ? journal.digests[sequence] !== digest : sequence > 0 && previous !== journal.digests[sequence - 1]) return problem(response, 409, { code: 'journal_forked' });
    if (status === 'ingested') {
      journal.next = sequence + 1;
      journal.digests.push(digest);
      for (const event of events) this.#settle(event);
      this.events.push(...events);
    }
    response.end(JSON.stringify({ journal_id, sequence, status }));
  }

  #settle(event: Event): void {
    const { spent, returned } = event.facts as { spent?: Record<string, number>; returned?: Record<string, number> };
    for (const [meter, units] of Object.entries(spent ?? {})) {
      this.#move(event, meter, units, this.#used, 1);
      this.#move(event, meter, units, this.#reserved, -1);
    }
    for (const [meter, units] of Object.entries(returned ?? {})) this.#move(event, meter, units, this.#reserved, -1);
  }

  #move(event: Event, meter: string, units: number, book: Map<string, number>, sign: 1 | -1): void {
    const key = `${event.run_id} ${meter}`;
    book.set(key, (book.get(key) ?? 0) + sign * units);
  }
}

export async function startFakeControlPlane(lifetime: Lifetime, folder: string): Promise<FakeControlPlane> {
  const bundle = await loadBundle(policies);
  const control = new FakeControlPlane(`${folder}/api.sock`, { revision: bundle.revision, packed: packBundle(bundle) });
  await control.listen();
  lifetime.teardown(() => control.close());
  return control;
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function problem(response: ServerResponse, status: number, fields: object): void {
  response.writeHead(status, { 'content-type': 'application/problem+json' });
  response.end(JSON.stringify({ status, ...fields }));
}
