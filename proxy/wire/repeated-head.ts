import { judgeRequest, judgeResponse, type BadHead, type GoodRequest, type GoodResponse } from './head-rules.ts';
import { parseRequestHead, parseResponseHead } from './llhttp.ts';
import { markRepeated } from './per-head.ts';

/** Larger heads are judged anew each time: it bounds what an idle connection holds. */
const rememberedBytes = 8192;

/**
 * Judges the heads of one connection. Judging depends on nothing but the bytes, and clients and origins that repeat themselves do it to
 * the byte: the same bytes as those before give the very same object, for some 0.2 us instead of 6 us. Never shared between connections.
 */
export class RequestHeads {
  #text = '';
  #judged: GoodRequest | undefined;
  #repeated = false;

  judge(bytes: Buffer): GoodRequest | BadHead {
    const text = bytes.toString('latin1');
    if (this.#judged !== undefined && text === this.#text) {
      if (!this.#repeated) markRepeated(this.#judged.head);
      this.#repeated = true;
      return this.#judged;
    }
    this.#repeated = false;
    const judged = judgeRequest(parseRequestHead(bytes, text));
    const kept = judged.kind === 'request' && text.length <= rememberedBytes;
    this.#text = kept ? text : '';
    this.#judged = kept ? judged : undefined;
    return judged;
  }
}

/** The same for the answers of one origin's connection; `method` is that of the request. */
export class ResponseHeads {
  #text = '';
  #method = '';
  #judged: GoodResponse | undefined;
  #repeated = false;

  judge(bytes: Buffer, method: string): GoodResponse | BadHead {
    const text = bytes.toString('latin1');
    if (this.#judged !== undefined && text === this.#text && method === this.#method) {
      if (!this.#repeated) markRepeated(this.#judged.head);
      this.#repeated = true;
      return this.#judged;
    }
    this.#repeated = false;
    const judged = judgeResponse(parseResponseHead(bytes, text), method);
    const kept = judged.kind === 'response' && text.length <= rememberedBytes;
    this.#text = kept ? text : '';
    this.#judged = kept ? judged : undefined;
    this.#method = method;
    return judged;
  }
}
