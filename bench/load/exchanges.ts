import type { Socket } from 'node:net';
import { AnswerReader } from './answer-reader.ts';
import { answer, readJob, Wrongs, type LoadResult } from './job.ts';
import { open, requestHead, type Target } from './target.ts';

/** A new connection for each exchange, with a CONNECT where the target is a tunnel; so many at a time, each lane's next as soon as it has its answer. */
export interface ExchangesJob {
  readonly target: Target;
  readonly path: string;
  /** Bytes of the answer's body. */
  readonly bytes: number;
  /** Bytes of the request's body; 0 makes it a GET. */
  readonly upload: number;
  readonly lanes: number;
  readonly seconds: number;
}

const { target, path, bytes, upload, lanes, seconds } = await readJob<ExchangesJob>();
const graceMs = 15_000;
const method = upload > 0 ? 'POST' : 'GET';
const request = requestHead(target, method, path, upload > 0 ? `Content-Type: application/octet-stream\r\nContent-Length: ${upload}\r\n` : '');
const piece = Buffer.alloc(256 * 1024, 'x');
const wrongs = new Wrongs();
const began = performance.now();
const until = began + seconds * 1000;
let count = 0;
let running = 0;

function lane(): void {
  let over = false;
  const end = (problem?: string): void => {
    if (over) return;
    over = true;
    running--;
    socket.destroy();
    if (problem === undefined) count++;
    else wrongs.add(problem);
    if (performance.now() >= until) {
      if (running === 0) finish();
    } else if (problem === undefined) lane();
    // A proxy that refuses is not asked as fast as it can refuse.
    else setTimeout(lane, 10);
  };
  running++;
  const { socket } = open(target, 0, (way) => {
    const reader = new AnswerReader(bytes, method);
    let sent = upload === 0;
    way.onBytes = (received) => {
      try {
        if (reader.take(received) === 'more') return;
        end(sent ? undefined : 'answered before the whole body was sent');
      } catch (error) {
        end((error as Error).message);
      }
    };
    way.socket.write(request);
    if (!sent) send(way.socket, upload, () => { sent = true; });
  }, end);
}

function send(socket: Socket, length: number, sent: () => void): void {
  let left = length;
  const more = (): void => {
    while (left > 0) {
      const next = left >= piece.length ? piece : piece.subarray(0, left);
      left -= next.length;
      if (!socket.write(next) && left > 0) {
        socket.once('drain', more);
        return;
      }
    }
    sent();
  };
  more();
}

function finish(): void {
  const result: LoadResult = { count, seconds: (performance.now() - began) / 1000, wrong: wrongs.count, problem: wrongs.first };
  answer(result);
  process.exit();
}

for (let index = 0; index < lanes; index++) lane();
setTimeout(() => {
  wrongs.add(`${running} exchanges without an answer ${graceMs / 1000} s later`);
  finish();
}, seconds * 1000 + graceMs);
