import test from 'ava';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { Streams } from '../../../control-plane/http/streams.ts';

class Response extends EventEmitter {
  writableLength = 0;
  destroyed = false;
  ended = false;
  writeHead(): this { return this; }
  flushHeaders(): void { /* Nothing to send. */ }
  write(text: string): boolean { this.writableLength += text.length; return true; }
  end(): void { this.ended = true; this.emit('close'); }
  destroy(): void { this.destroyed = true; this.emit('close'); }
}

const open = (streams: Streams, ofAgent?: string) => {
  const response = new Response();
  return { response, stream: streams.open(response as unknown as ServerResponse, 'text/plain', 10, ofAgent) };
};

test('a client that falls behind by more than the bound is cut off', (t) => {
  const { response, stream } = open(new Streams());
  t.true(stream.write('12345'));
  t.true(stream.write('12345'));
  t.false(stream.write('1'));
  t.true(response.destroyed);
  t.true(stream.closed.aborted);
  t.false(stream.write('more'));
});

test('there is a number of streams and no more; one that ends makes room; a stop ends all', (t) => {
  const streams = new Streams();
  const all = Array.from({ length: 1000 }, () => open(streams));
  t.throws(() => open(streams), { code: 'overloaded' });
  all[0]!.response.destroy();
  t.notThrows(() => open(streams));
  streams.stop();
  t.true(all.slice(1).every(({ response, stream }) => response.ended && stream.closed.aborted));
  t.throws(() => open(streams), { code: 'overloaded' });
});

test('an agent that opens stream after stream leaves room for proxies, operators and other agents', (t) => {
  const streams = new Streams();
  const all = Array.from({ length: 16 }, () => open(streams, 'run_1'));
  t.throws(() => open(streams, 'run_1'), { code: 'rate_limited' });
  t.notThrows(() => open(streams, 'run_2'));
  t.notThrows(() => open(streams));
  all[0]!.response.destroy();
  all[0]!.stream.end();
  t.notThrows(() => open(streams, 'run_1'));
  t.throws(() => open(streams, 'run_1'), { code: 'rate_limited' });
});

test('agents of many runs together leave room for proxies, without which all runs are cut off', (t) => {
  const streams = new Streams();
  const all = Array.from({ length: 500 }, (_, index) => open(streams, `run_${index % 100}`));
  t.throws(() => open(streams, 'run_x'), { code: 'overloaded' });
  t.notThrows(() => open(streams));
  all[0]!.response.destroy();
  t.notThrows(() => open(streams, 'run_x'));
  t.throws(() => open(streams, 'run_y'), { code: 'overloaded' });
});
