import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import type { WorkerAnswer } from './protocol.ts';
import { Wasi } from './wasi.ts';

interface CompilerExports {
  readonly memory: WebAssembly.Memory;
  _initialize(): void;
  alloc(size: number): number;
  call(size: number): bigint;
}

/** Linear memory never shrinks, so an instance that grew past this is thrown away after its call. */
const largestKeptMemory = 512 * 1024 * 1024;

const module = new WebAssembly.Module(readFileSync((workerData as { readonly modulePath: string }).modulePath));
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

interface Live {
  readonly exports: CompilerExports;
  readonly wasi: Wasi;
}
let live: Live | undefined;

function start(): Live {
  const wasi = new Wasi();
  const exports = new WebAssembly.Instance(module, wasi.importsFor(module)).exports as unknown as CompilerExports;
  wasi.attach(exports.memory);
  exports._initialize();
  return { exports, wasi };
}

function call(text: string): string {
  live ??= start();
  const { exports } = live;
  const bytes = encoder.encode(text);
  const at = exports.alloc(bytes.length);
  new Uint8Array(exports.memory.buffer).set(bytes, at);
  const answer = exports.call(bytes.length);
  const start_ = Number(answer >> 32n);
  const result = decoder.decode(new Uint8Array(exports.memory.buffer, start_, Number(answer & 0xffff_ffffn)));
  if (exports.memory.buffer.byteLength > largestKeptMemory) live = undefined;
  return result;
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
const send = (answer: WorkerAnswer): void => parentPort!.postMessage(answer);

parentPort!.on('message', (text: string) => {
  try {
    send({ kind: 'answer', text: call(text) });
  } catch (error) {
    // A trap or an exit leaves Go's heap in an unknown state.
    const diagnostics = live?.wasi.diagnostics.trim().split('\n')[0] ?? '';
    live = undefined;
    send({ kind: 'fault', message: `${error instanceof Error ? error.message : String(error)}${diagnostics === '' ? '' : ` (${diagnostics})`}` });
  }
});
send({ kind: 'ready' });
