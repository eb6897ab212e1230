import { Duplex } from 'node:stream';
import test from 'ava';
import { array, assert, constant, integer, oneof, property, record } from 'fast-check';
import { Output } from '../../../proxy/wire/output.ts';

/** A stream that takes nothing before it is told to, and so shows what was not copied in time. */
function slowStream(): { readonly stream: Duplex; readonly take: () => string } {
  const taken: Buffer[] = [];
  const waiting: (() => void)[] = [];
  const stream = new Duplex({
    decodeStrings: false,
    read: () => undefined,
    write: (chunk: string | Buffer, encoding, done) => {
      waiting.push(() => {
        taken.push(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : Buffer.from(chunk));
        done();
      });
    },
  });
  return {
    stream,
    take: () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) next();
      return Buffer.concat(taken).toString('latin1');
    },
  };
}

const size = oneof({ weight: 4, arbitrary: integer({ min: 0, max: 40 }) }, integer({ min: 16_000, max: 17_000 }), integer({ min: 60_000, max: 70_000 }));
const operation = record({ kind: oneof(constant('text'), constant('bytes'), constant('give'), constant('flush')), size });

test('everything comes in order, whatever was gathered, given or flushed, and borrowed buffers may be used again after a flush', (t) => {
  assert(property(array(operation, { maxLength: 10 }), (operations) => {
    const { stream, take } = slowStream();
    const output = new Output(stream);
    let expected = '';
    let borrowed: Buffer[] = [];
    const letGo = (): void => {
      for (const bytes of borrowed) bytes.fill('!');
      borrowed = [];
    };
    operations.forEach(({ kind, size: length }, index) => {
      const letter = String.fromCharCode(0xe0 + index);
      if (kind !== 'flush') expected += letter.repeat(length);
      if (kind === 'text') output.text(letter.repeat(length));
      if (kind === 'bytes') {
        const bytes = Buffer.alloc(length, letter, 'latin1');
        borrowed.push(bytes);
        output.bytes(bytes);
      }
      if (kind === 'give') output.give(Buffer.alloc(length, letter, 'latin1'));
      if (kind === 'flush') output.flush();
      if (kind === 'flush' || kind === 'give') letGo();
    });
    output.flush();
    letGo();
    return take() === expected;
  }), { numRuns: 300 });
  t.pass();
});

test('a full stream is told of, and one that is closed takes nothing', (t) => {
  const { stream, take } = slowStream();
  const output = new Output(stream);
  output.text('a');
  t.true(output.flush());
  output.bytes(Buffer.alloc(100_000, 'b'));
  t.false(output.flush());
  t.false(output.flush(), 'with nothing to write, too');
  t.false(output.give(Buffer.alloc(20_000, 'c')));
  t.true(take() === `a${'b'.repeat(100_000)}${'c'.repeat(20_000)}`);
  stream.destroy();
  output.text('d');
  t.true(output.flush());
  t.true(output.give(Buffer.alloc(20_000)));
});
