import type { Http2Session, Http2Stream } from 'node:http2';

/**
 * Node's native session aborts the process (`current_nghttp2_memory_ == 0`) when it is collected before a stream of its that has part of a
 * head in hand: a peer that stops in the middle of HEADERS, or sends too many CONTINUATION, has only to meet the right moment of a collection.
 * So whoever holds a stream's handle keeps the session's: the registry lets it go once the stream's was collected (Node 24.21, nghttp2 1.70).
 */
const kept = new FinalizationRegistry<object>(() => { /* The session's handle was all it held. */ });

const handles = new Map<string, symbol>();

function handleOf(owner: Http2Session | Http2Stream, kind: 'session' | 'stream'): object | undefined {
  let symbol = handles.get(kind);
  if (symbol === undefined) {
    symbol = Object.getOwnPropertySymbols(owner).find(({ description }) => description === 'kHandle');
    if (symbol === undefined) return undefined;
    handles.set(kind, symbol);
  }
  return (owner as unknown as Record<symbol, object | undefined>)[symbol];
}

/** To be called for each stream while it and its session live. */
export function keepSessionFor(stream: Http2Stream): void {
  const { session } = stream;
  const own = handleOf(stream, 'stream');
  const its = session === undefined ? undefined : handleOf(session, 'session');
  if (own !== undefined && its !== undefined) kept.register(own, its);
}
