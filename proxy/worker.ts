import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../contracts/clock.ts';
import type { DrawAnswer, IngestAnswer } from '../contracts/data-plane.ts';
import { SallyportError, toSallyportError } from '../contracts/errors.ts';
import type { Refused } from './accept/refused.ts';
import { ConnectionCaps } from './accept/caps.ts';
import { acceptLimits } from './accept/limits.ts';
import { createListener, type ListenAddress, type Listener, type ListenOn } from './accept/listener.ts';
import { controlPlaneAddress, type Configuration } from './config.ts';
import { ControlPlane } from './control-plane/client.ts';
import { PushStream } from './control-plane/stream.ts';
import { Synchroniser } from './control-plane/synchroniser.ts';
import type { Decide } from './decide/question.ts';
import { Policy } from './decide/policy.ts';
import { OwnAddresses } from './describe/own-addresses.ts';
import { AddressBook } from './enforce/addresses.ts';
import { DialRules } from './enforce/dial.ts';
import { NameResolver } from './enforce/resolver.ts';
import { UpstreamProxies } from './enforce/upstream-proxies.ts';
import { RunSpending } from './enforce/spending.ts';
import type { Exchange } from './exchange.ts';
import { createForwarder } from './forward/forwarder.ts';
import { forwardLimits } from './forward/limits.ts';
import { FailedAttempts, refusalLimits } from './identify/attempts.ts';
import { attributionOf } from './identify/identify.ts';
import { ended } from './identify/rules.ts';
import { InsideConnections } from './inside-connections.ts';
import { openAuthorities } from './intercept/authority/authorities.ts';
import { Leaves } from './intercept/leaves.ts';
import { protocolsFor } from './intercept/protocols.ts';
import { InternalRoute } from './internal/internal-route.ts';
import { startMetrics } from './metrics/push.ts';
import { timed } from './metrics/timed.ts';
import { ReverseProxy } from './internal/reverse-proxy.ts';
import { RunListeners } from './listeners.ts';
import { handle, recordRefused, type PipelineContext } from './pipeline.ts';
import { startRecorder } from './record/recorder.ts';
import type { Disk } from './record/segment-file.ts';
import { lockSlot } from './record/slot-lock.ts';
import { Runs, type LiveRun } from './runs.ts';
import { signals } from './signals.ts';
import { Sweep } from './wire/sweep.ts';

export interface Worker {
  /** Where clients bring credentials. */
  readonly address: ListenAddress | undefined;
  /** Settles when runs and policy are known and in effect. */
  readonly ready: Promise<void>;
  /** Lets what is under way come to its end for so long, then ends it; ships what it can. */
  readonly stop: (drainMs: number) => Promise<void>;
}

/** How long the permits of an ended run may take to say what became of them. */
const settleMs = 10_000;
/**
 * How long whoever comes waits before a worker that cannot decide yet takes connections, and says why it refuses. They wait in the queue of
 * the socket that it shares, where another worker may take them.
 */
const usableWithinMs = 5_000;
/** How long a stopping worker goes on shipping. */
const shipMs = 2000;
/** Between the end of the drain and the closing of the sockets: refusals and cut streams still have to reach their clients. */
const closeMs = 500;

/** What a test puts in the place of the machine. */
export interface WorkerParts {
  readonly clock: Clock;
  readonly resolver?: NameResolver;
  readonly disk?: Disk;
}

/** Starts all parts of one worker. Rejects when it can't listen, or when another worker holds its slot. */
export async function startWorker(configuration: Configuration, { clock, resolver = new NameResolver(clock), disk }: WorkerParts): Promise<Worker> {
  const { data_folder, slot, data_plane_token, durability, journal_max_bytes } = configuration;
  const socketFolder = join(data_folder, 's');
  const journalFolder = join(data_folder, 'journal');
  await mkdir(journalFolder, { recursive: true, mode: 0o700 });
  await mkdir(socketFolder, { recursive: true, mode: 0o700 });
  const lock = await lockSlot(join(journalFolder, `${slot}.lock`));

  const own = new OwnAddresses(configuration.own_addresses.filter(({ port }) => port !== 0));
  const upstreams = new UpstreamProxies(configuration.upstream_proxies, resolver);
  own.also(upstreams);
  const address = controlPlaneAddress(configuration);
  const client = new ControlPlane({ address, token: data_plane_token, onPeer: (endpoint) => own.add(endpoint) });
  const recorder = await startRecorder({
    folder: join(journalFolder, String(slot)), slot, durability, clock, maxBytes: journal_max_bytes,
    send: (bytes) => client.postSegment<IngestAnswer>(bytes), ...(disk !== undefined && { disk }),
  });
  const { journal, events, shipping, proxy_id } = recorder;
  const policy = new Policy({
    clock,
    fetch: (revision) => client.get(`/data-plane/bundles/${revision}`),
    onReplaced: (revision, throws) => journal.note(events.engineReplaced(revision, throws).text),
    onSwapped: () => {
      runs.rejudgeAll();
      lookWhetherUsable();
    },
  });
  const sweep = new Sweep(clock);
  const forwarder = createForwarder({ clock, sweep, limits: forwardLimits, upstreamCa: configuration.upstream_ca });
  const ending = new Set<Promise<void>>();

  const runs = new Runs({
    clock,
    makeSpending: ({ run_id, session_id, epoch }) => new RunSpending({
      run_id, journal_id: journal.journal_id, clock,
      draw: (draw) => timed(clock, client.post<DrawAnswer>('/data-plane/allowances', draw), (took_ms, outcome) => signals.drawn.publish({ outcome, took_ms })),
      late: (returned) => journal.note(events.returned({ run_id, session_id }, returned).text),
      giveUp: (answer) => client.post('/data-plane/returns', answer),
    }, epoch),
    onLive: (run) => { if (configuration.jails) synchroniser.awaits(listeners.open(run)); },
    onEnded: (run) => {
      const work = endRun(run).catch((error: unknown) => signals.fault.publish({ where: 'end of a run', error: toSallyportError(error) })).finally(() => ending.delete(work));
      ending.add(work);
    },
  });
  const synchroniser: Synchroniser = new Synchroniser({
    clock, proxy_id, runs,
    loadPolicy: (revision) => timed(clock, policy.load(revision), (took_ms) => signals.loaded.publish({ took_ms })),
    revision: () => policy.revision,
    acknowledge: (acknowledgement) => client.post('/data-plane/acknowledgements', acknowledgement),
    sealed: (journalId, through) => shipping.sealed(journalId, through),
    reconnected: () => {
      shipping.wake();
      for (const run of runs.all()) run.spending.wake();
    },
    reincarnated: () => { for (const run of runs.all()) run.spending.forget(); },
  });

  const internal = new InternalRoute({ clock, reverse: new ReverseProxy(address), token: data_plane_token });

  const refusals = new FailedAttempts(() => clock.monotonic(), refusalLimits);
  const decide: Decide = (question) => policy.decide(question);
  const context: PipelineContext = {
    clock, runs, own, journal, events,
    attempts: new FailedAttempts(() => clock.monotonic()),
    refusals,
    unready: () => synchroniser.expired() ?? policy.unready(),
    decide,
    addresses: new AddressBook(resolver, own, upstreams, ({ run_id }, names) => !refusals.wouldBeTooMany(run_id, names)),
    dialRules: new DialRules({ decide, revision: () => policy.revision, isOfPlace: () => policy.dialIsOfPlace }, clock),
    forward: forwarder.forward,
    serveInternal: internal.serve,
    acceptInside: (exchange, egress, caller, intercept, denied) => { inside.accept(exchange, egress, caller, intercept, handler, denied); },
    refuseInside: (exchange, egress, caller, refusal) => { inside.refuse(exchange, egress, caller, refusal); },
  };
  const handler = (exchange: Exchange): Promise<void> => handle(context, exchange);
  const onRefused = (refused: Refused): string | undefined => recordRefused(context, refused);
  const shared = { clock, sweep, onRefused, limits: acceptLimits, caps: new ConnectionCaps(acceptLimits) };
  const leaves = new Leaves(openAuthorities(data_folder, clock), clock);
  const inside = new InsideConnections({
    limits: acceptLimits, sweep, onRefused,
    tlsFor: (run_id, host, port, offered) => ({ context: leaves.secureContext(host, run_id), protocols: protocolsFor(offered, forwarder.speaksHttp2({ run_id, host, port })) }),
  });
  const usable = Promise.withResolvers<void>();
  const lookWhetherUsable = (): void => { if (context.unready() === undefined) usable.resolve(); };
  const patience = clock.setTimeout(usable.resolve, usableWithinMs, { background: true });
  const listeners = new RunListeners({ folder: socketFolder, slot, usable: usable.promise }, shared, handler);

  /** Its listener closes, its permits end, and what it did not use goes back; then its record is complete and is shipped. */
  async function endRun(run: LiveRun): Promise<void> {
    run.spending.close(ended());
    void listeners.close(run);
    await giveBack(run, true);
    await journal.closeSegment();
  }

  /** `last` is told also when nothing is left: it says that this worker's record of the run is complete, so nobody waits for silence. */
  async function giveBack(run: LiveRun, last: boolean): Promise<void> {
    const settled = Promise.withResolvers<void>();
    const timer = clock.setTimeout(settled.resolve, settleMs, { background: true });
    await Promise.race([run.idle(), settled.promise]);
    timer.cancel();
    const returned = run.spending.takeAll();
    if (last || Object.keys(returned).length > 0) journal.note(events.returned(attributionOf(run), returned).text);
  }

  let tcp: Listener | undefined;
  async function listen(on: ListenOn): Promise<void> {
    tcp = await createListener({ kind: 'tcp' }, { ...shared, listen: on }, handler);
    if ('port' in tcp.address) own.add(tcp.address);
  }

  try {
    await upstreams.start();
    if (configuration.listen !== undefined && !('descriptor' in configuration.listen)) await listen(configuration.listen);
  } catch (error) {
    await recorder.end(true).catch(() => undefined);
    await shipping.end();
    client.close();
    lock.release();
    throw error;
  }
  const metrics = startMetrics({
    clock, proxy_id, post: (push) => client.post('/data-plane/metrics', push),
    gauges: { connections: () => shared.caps.open, runs: () => [...runs.all()].length, lag: () => shipping.lag },
  });
  const stream = new PushStream({
    clock,
    open: (signal) => client.open(`/data-plane/stream?proxy_id=${proxy_id}&journal_id=${journal.journal_id}`, signal),
    onMessage: (message) => {
      synchroniser.handle(message);
      lookWhetherUsable();
    },
    onDown: (problem) => signals.stream.publish({ problem }),
  });

  let stopped = false;
  const listening = usable.promise.then(async () => {
    if (!stopped && configuration.listen !== undefined && 'descriptor' in configuration.listen) await listen(configuration.listen);
  });

  async function stop(drainMs: number): Promise<void> {
    stopped = true;
    patience.cancel();
    usable.resolve();
    await listening.catch(() => undefined);
    const stopping = new SallyportError('overloaded', 'The proxy is stopping.');
    internal.end();
    const cut = clock.setTimeout(() => runs.stopAll(stopping), drainMs);
    inside.stop();
    await Promise.all([tcp?.stop(drainMs + closeMs), listeners.closeAll(drainMs + closeMs)]);
    cut.cancel();
    stream.end();
    synchroniser.end();
    runs.stopAll(stopping);
    let complete = true;
    await Promise.all([...runs.all()].map(async (run) => {
      run.spending.close(stopping);
      run.spending.abandon();
      await giveBack(run, false);
      complete &&= !run.spending.unsettled;
    }));
    await Promise.all(ending);
    const through = await recorder.end(complete).catch(() => -1);
    const late = Promise.withResolvers<void>();
    const timer = clock.setTimeout(late.resolve, shipMs);
    await Promise.race([shipping.shipped(journal.journal_id, through), late.promise]);
    timer.cancel();
    await shipping.end();
    metrics.end();
    forwarder.close();
    sweep.close();
    client.close();
    lock.release();
  }

  const ready = Promise.all([synchroniser.ready, listening]).then(() => undefined);
  return { get address() { return tcp?.address; }, ready, stop };
}
