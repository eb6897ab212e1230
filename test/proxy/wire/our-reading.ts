import { duplexPair, type Duplex } from 'node:stream';
import { classify } from '../../../proxy/accept/forms.ts';
import { ClientExchange, type ExchangeHost } from '../../../proxy/accept/client-exchange.ts';
import type { HeaderList, RequestHead, ResponseHead } from '../../../proxy/exchange.ts';
import { bodyReader, chunkEnd, chunkStart, lastChunk, type BodyReader } from '../../../proxy/wire/body.ts';
import { HeadCollector } from '../../../proxy/wire/head-collector.ts';
import { judgeTrailers } from '../../../proxy/wire/head-rules.ts';
import { Output } from '../../../proxy/wire/output.ts';
import { RequestHeads, ResponseHeads } from '../../../proxy/wire/repeated-head.ts';
import { serialiseRequest } from '../../../proxy/wire/serialise.ts';

/** A whole request that our codec took. */
export interface TakenRequest {
  readonly head: RequestHead;
  readonly content: Buffer;
  readonly pieces: readonly Buffer[];
  readonly trailers: HeaderList;
}
export interface OurReading {
  readonly taken: readonly TakenRequest[];
  /** `refused`: what follows can't be read one way only; `closed`: the last one taken ends the connection; `more`: bytes are missing. */
  readonly end: 'refused' | 'closed' | 'more';
}

/** Reads a client's bytes by our codec, request after request as `accept/` does. */
export function readRequests(input: readonly Buffer[]): OurReading {
  const collector = new HeadCollector(true);
  const heads = new RequestHeads();
  const taken: TakenRequest[] = [];
  let open: { readonly head: RequestHead; readonly keeps: boolean; readonly reader: BodyReader; readonly pieces: Buffer[] } | undefined;
  try {
    for (const bytes of input) {
      let rest = bytes;
      while (rest.length > 0) {
        if (open === undefined) {
          const collected = collector.feed(rest);
          if (collected === 'more') break;
          if (collected === 'bad') return { taken, end: 'refused' };
          rest = collector.rest;
          const judged = heads.judge(collector.head);
          if (judged.kind === 'bad' || classify(judged.head, undefined).kind === 'refused') return { taken, end: 'refused' };
          open = { head: judged.head, keeps: judged.keep_alive, reader: bodyReader(judged.head.framing), pieces: [] };
        } else {
          for (const piece of open.reader.read(rest)) open.pieces.push(Buffer.from(piece));
          rest = rest.subarray(open.reader.consumed);
        }
        const { reader, head, keeps, pieces } = open;
        if (reader.state === 'more') continue;
        const trailers = reader.state === 'done' ? judgeTrailers(reader.trailers) : reader.problem;
        reader.release();
        open = undefined;
        if (typeof trailers === 'string') return { taken, end: 'refused' };
        taken.push({ head, content: Buffer.concat(pieces), pieces, trailers });
        if (!keeps) return { taken, end: 'closed' };
      }
    }
    return { taken, end: 'more' };
  } finally {
    open?.reader.release();
  }
}

/** As it goes to the origin. */
export function sentOn({ head, pieces, content, trailers }: TakenRequest, target: string, authority: string): Buffer {
  const text = Buffer.from(serialiseRequest(head, target, authority), 'latin1');
  if (head.framing.kind !== 'chunked') return Buffer.concat([text, content]);
  return Buffer.concat([
    text, ...pieces.flatMap((piece) => [Buffer.from(chunkStart(piece.length)), piece, Buffer.from(chunkEnd)]), Buffer.from(lastChunk(trailers), 'latin1'),
  ]);
}

const ofOneHop = new Set(['connection', 'keep-alive', 'te', 'transfer-encoding', 'upgrade', 'http2-settings', 'trailer', 'expect']);

/** Of a list (RFC 9110, section 5.6.1): nothing but blanks and tabs is white space. */
export function members(value: string): string[] {
  return value.toLowerCase().split(',').map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ''));
}

/** Fields that go on, said a second time and more simply than `serialise.ts` does it. */
export function fieldsThatGoOn(headers: HeaderList): string[] {
  const pairs = headers.flatMap((name, index) => (index % 2 === 0 ? [[name, headers[index + 1]!] as const] : []));
  const options = pairs.filter(([name]) => name.toLowerCase() === 'connection').flatMap(([, value]) => members(value));
  return pairs.filter(([name]) => {
    const lower = name.toLowerCase();
    return !ofOneHop.has(lower) && !lower.startsWith('proxy-') && !options.includes(lower);
  }).flat();
}

export interface OurAnswer {
  /** The final answer; undefined where the origin's bytes are no answer. */
  readonly head: ResponseHead | undefined;
  readonly interim: readonly number[];
  readonly content: Buffer;
  readonly trailers: HeaderList;
  readonly end: 'done' | 'cut' | 'refused';
}

/** Reads an origin's bytes by our codec, to their end, and gives `client` what comes of it by the real writer of answers. */
export function passAnswer(input: readonly Buffer[], method: string, client: Duplex, request: RequestHead): OurAnswer {
  const collector = new HeadCollector(false);
  const heads = new ResponseHeads();
  const interim: number[] = [];
  const content: Buffer[] = [];
  const host: ExchangeHost = {
    output: new Output(client), bodyState: 'done', keepsAlive: true, restIsSmall: true, hasMore: false,
    startBody: () => { /* There is none. */ }, resumeBody: () => { /* There is none. */ }, answered: () => { /* Left open for the reader to judge. */ },
    abort: () => { client.end(); }, openTunnel: () => duplexPair()[0],
  };
  const exchange = new ClientExchange(host, { kind: 'tcp', remote: 'test' }, { kind: 'absolute' }, request);
  let head: ResponseHead | undefined;
  let reader: BodyReader | undefined;
  const over = (end: OurAnswer['end'], trailers: HeaderList = []): OurAnswer => {
    reader?.release();
    if (end === 'done') exchange.end(trailers);
    else if (head !== undefined) exchange.abort();
    else client.end();
    return { head, interim, content: Buffer.concat(content), trailers, end };
  };
  const done = (read: BodyReader): OurAnswer => {
    const trailers = judgeTrailers(read.trailers);
    return typeof trailers === 'string' ? over('cut') : over('done', trailers);
  };
  for (const bytes of input) {
    let rest = bytes;
    while (rest.length > 0) {
      if (reader === undefined) {
        const collected = collector.feed(rest);
        if (collected === 'more') break;
        const judged = collected === 'bad' ? undefined : heads.judge(collector.head, method);
        if (judged?.kind !== 'response' || judged.head.status === 101) return over('refused');
        rest = collector.rest;
        if (judged.head.status < 200) {
          if (judged.head.status !== 100) {
            interim.push(judged.head.status);
            exchange.interim(judged.head);
          }
          continue;
        }
        head = judged.head;
        exchange.begin(head);
        reader = bodyReader(head.framing);
      } else {
        for (const piece of reader.read(rest)) {
          content.push(Buffer.from(piece));
          exchange.write(piece);
        }
        rest = rest.subarray(reader.consumed);
      }
      if (reader.state === 'bad') return over('cut');
      if (reader.state === 'done') return done(reader);
    }
    exchange.flush();
  }
  if (reader === undefined) return over('refused');
  reader.finish();
  return reader.state === 'done' ? done(reader) : over('cut');
}
