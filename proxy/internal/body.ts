import type { Clock } from '../../contracts/clock.ts';
import { SallyportError } from '../../contracts/errors.ts';
import type { Exchange } from '../exchange.ts';
import type { InternalLimits } from './rules.ts';

/** The whole body of a request, which is passed on with a length. Throws `body_too_large` or `bad_request`. */
export function collectBody({ head, transfer }: Exchange, { body_bytes, body_ms }: InternalLimits, clock: Clock): Promise<Buffer> {
  const { framing } = head;
  if (framing.kind === 'none') return Promise.resolve(Buffer.alloc(0));
  const tooLarge = new SallyportError('body_too_large', `A body to sallyport.internal may have ${body_bytes} bytes.`);
  // Said before the client is told to go on.
  if (framing.kind === 'length' && framing.bytes > body_bytes) return Promise.reject(tooLarge);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const timer = clock.setTimeout(() => { fail(new SallyportError('bad_request', `The body did not come within ${body_ms} ms.`)); }, body_ms, { background: true });
    const fail = (problem: SallyportError): void => {
      timer.cancel();
      reject(problem);
    };
    transfer.events = { drained: () => { /* Nothing is answered yet. */ }, gone: () => { fail(new SallyportError('bad_request', 'The request broke off.')); } };
    transfer.readBody({
      data: (bytes) => {
        size += bytes.length;
        if (size <= body_bytes) return chunks.push(bytes) > 0;
        fail(tooLarge);
        return false;
      },
      end: () => {
        timer.cancel();
        resolve(Buffer.concat(chunks, size));
      },
      fail: (detail) => { fail(new SallyportError('bad_request', detail)); },
    });
  });
}
