import type { IncomingMessage } from 'node:http';
import type { Clock, Timer } from '../../contracts/clock.ts';
import { dataPlaneVersion, heartbeatMs, type StreamMessage } from '../../contracts/data-plane.ts';
import { SallyportError, toSallyportError } from '../../contracts/errors.ts';

export interface StreamOptions {
  readonly clock: Clock;
  /** Opens `GET /data-plane/stream`. */
  readonly open: (signal: AbortSignal) => Promise<IncomingMessage>;
  /** Messages in order. One that throws ends this connection. */
  readonly onMessage: (message: StreamMessage) => void;
  /** The stream is down (why) and will be opened again; told once for each reason until it is whole again. */
  readonly onDown: (problem: SallyportError) => void;
}

const firstRetryMs = 50;
/** The socket is on this machine, so a try costs little, and everything waits for the one that succeeds. */
const longestRetryMs = 500;
/** Three heartbeats missed: the other side is gone, whatever the socket says. */
const silenceMs = 3 * heartbeatMs;
const reasonsMax = 100;
/** A run's snapshot has its whole policy. */
const longestLine = 4 * 1024 * 1024;

/** The push stream: opened again whenever it ends, with a growing pause while that fails. */
export class PushStream {
  readonly #options: StreamOptions;
  readonly #ended = new AbortController();
  #silence: Timer | undefined;
  #retryMs = firstRetryMs;
  readonly #told = new Set<string>();

  constructor(options: StreamOptions) {
    this.#options = options;
    void this.#run();
  }

  end(): void {
    this.#ended.abort();
    this.#silence?.cancel();
  }

  async #run(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      try {
        await this.#once();
        this.#down(new SallyportError('control_plane_unreachable', 'The control plane closed the stream.'));
      } catch (error) {
        this.#down(brokenOff(error));
      }
      this.#silence?.cancel();
      if (this.#ended.signal.aborted) return;
      await new Promise<void>((resolve) => {
        const timer = this.#options.clock.setTimeout(resolve, this.#retryMs);
        this.#ended.signal.addEventListener('abort', () => { timer.cancel(); resolve(); }, { once: true });
      });
      this.#retryMs = Math.min(this.#retryMs * 2, longestRetryMs);
    }
  }

  #down(problem: SallyportError): void {
    if (this.#ended.signal.aborted || this.#told.has(problem.message)) return;
    if (this.#told.size < reasonsMax) this.#told.add(problem.message);
    this.#options.onDown(problem);
  }

  async #once(): Promise<void> {
    const connection = new AbortController();
    const end = (): void => connection.abort();
    this.#ended.signal.addEventListener('abort', end, { once: true });
    try {
      this.#watch(connection);
      const response = await this.#options.open(connection.signal);
      response.setEncoding('utf8');
      let rest = '';
      for await (const chunk of response as AsyncIterable<string>) {
        this.#watch(connection);
        const lines = (rest + chunk).split('\n');
        rest = lines.pop()!;
        if (rest.length > longestLine) throw new SallyportError('internal', 'The control plane sent a line without end.');
        for (const line of lines) this.#take(line);
      }
    } finally {
      this.#ended.signal.removeEventListener('abort', end);
      connection.abort();
    }
  }

  #take(line: string): void {
    if (line === '') return;
    const message = JSON.parse(line) as StreamMessage;
    if (message.type === 'hello' && message.protocol !== dataPlaneVersion) {
      throw new SallyportError('not_supported', `The control plane speaks version ${message.protocol} of the data-plane protocol, this proxy ${dataPlaneVersion}.`);
    }
    if (message.type === 'synced') {
      this.#retryMs = firstRetryMs;
      this.#told.clear();
    }
    this.#options.onMessage(message);
  }

  #watch(connection: AbortController): void {
    this.#silence?.cancel();
    this.#silence = this.#options.clock.setTimeout(() => connection.abort(new Error(`Nothing came from the control plane for ${silenceMs} ms.`)), silenceMs, { background: true });
  }
}

/** A connection that breaks off in the middle of its answer is an error of the system; whatever else is thrown is a fault of ours. */
function brokenOff(error: unknown): SallyportError {
  const { code } = error as { readonly code?: unknown };
  if (error instanceof SallyportError || typeof code !== 'string') return toSallyportError(error);
  return new SallyportError('control_plane_unreachable', `The stream of the control plane broke off (${code}).`, { cause: error });
}
