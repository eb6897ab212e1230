import { duplexPair } from 'node:stream';
import { createServer, type ConnectionOptions } from 'node:tls';
import test from 'ava';
import * as fc from 'fast-check';
import { canonicalHost } from '../../../contracts/host.ts';
import { maximumClientHelloBytes, readClientHello, type ClientHello } from '../../../proxy/describe/client-hello.ts';
import { within } from '../../helpers/wait.ts';
import { fuzzRuns } from '../../helpers/fuzz.ts';
import { captureHello, extension, hello, inRecords, message, record, serverName } from '../../helpers/tls-hello.ts';

const nothing = Buffer.alloc(0);

/** As a reader does it that gets one byte at a time. */
function readSlowly(bytes: Buffer): ClientHello {
  let needed = 0;
  for (let length = 0; length <= bytes.length; length++) {
    // What is less than was asked for is looked at in the end only, where no more comes.
    if (length < needed && length < bytes.length) continue;
    const read = readClientHello(bytes.subarray(0, length));
    if (read.kind !== 'more') return read;
    if (read.needed <= length) throw new Error(`asks for ${read.needed} bytes, and has ${length}`);
    if (length === bytes.length) return read;
    needed = read.needed;
  }
  throw new Error('never ends');
}

/** The name under which OpenSSL, as a server, would answer: undefined when it asks for none before it fails or goes on. */
async function nameSeenByOpenSsl(bytes: Buffer): Promise<{ readonly name: string | undefined; readonly went: boolean }> {
  const [near, far] = duplexPair();
  let name: string | undefined;
  const server = createServer({ SNICallback: (servername, callback) => { name = servername; callback(null); } });
  server.on('tlsClientError', () => { /* What comes of it is told by `went`. */ });
  const answered = new Promise<Buffer>((resolve) => {
    near.once('data', resolve);
    near.once('end', () => resolve(nothing));
    near.once('close', () => resolve(nothing));
  });
  near.on('error', () => { /* 'close' follows. */ });
  server.emit('connection', far);
  near.write(bytes);
  const first = await within('an answer of OpenSSL', answered);
  near.destroy();
  far.destroy();
  // Without a certificate a readable hello ends in the alert "no shared cipher" (40); an unreadable one in another.
  return { name: name === '' ? undefined : name, went: first[0] === 22 || (first[0] === 21 && first[6] === 40) };
}

const options: readonly ConnectionOptions[] = [
  { servername: 'a.test' },
  { servername: 'A.TEST', ALPNProtocols: ['h2', 'http/1.1'] },
  { servername: 'xn--bcher-kva.test', maxVersion: 'TLSv1.2' },
  { host: '192.0.2.1' },
  { servername: 'long.'.repeat(40) + 'test', ALPNProtocols: ['x'.repeat(255)] },
];
const captured: Buffer[] = [];
test.before(async () => { for (const one of options) captured.push(await captureHello(one)); });

test('hellos of a real client are read: name, protocols, no name', (t) => {
  const read = captured.map((bytes) => readClientHello(bytes));
  t.deepEqual(read[0], { kind: 'hello', sni: 'a.test', ech: false, alpn: [] });
  t.deepEqual(read[1], { kind: 'hello', sni: 'a.test', ech: false, alpn: ['h2', 'http/1.1'] });
  t.like(read[2], { kind: 'hello', sni: 'xn--bcher-kva.test' });
  t.like(read[3], { kind: 'hello', sni: undefined });
  t.like(read[4], { kind: 'hello', sni: 'long.'.repeat(40) + 'test', alpn: ['x'.repeat(255)] });
});

test('a hello over several records, and byte by byte, is the same hello', (t) => {
  for (const bytes of captured) {
    for (const sizes of [[1], [1, 2, 3, 1000], [100, 200]]) {
      const split = inRecords(bytes, sizes);
      // One byte a record is more records than we take.
      if (sizes.length === 1) t.like(readClientHello(split), { kind: 'bad' });
      else t.deepEqual(readSlowly(split), readClientHello(bytes));
    }
    t.deepEqual(readSlowly(bytes), readClientHello(bytes));
    for (let length = 0; length < bytes.length; length++) t.is(readClientHello(bytes.subarray(0, length)).kind, 'more');
  }
});

test('what belongs to later flights does not matter', (t) => {
  const early = Buffer.concat([captured[0]!, Buffer.from('140303000101', 'hex'), record(Buffer.alloc(50), 23)]);
  t.like(readClientHello(early), { kind: 'hello', sni: 'a.test' });
});

const good = [serverName('a.test')];
const malformed: readonly (readonly [string, Buffer])[] = [
  ['an alert first', Buffer.concat([Buffer.from('1503010002015a', 'hex'), hello({ extensions: good })])],
  ['change_cipher_spec first', Buffer.concat([Buffer.from('140303000101', 'hex'), hello({ extensions: good })])],
  ['an alert in the middle', (() => { const split = inRecords(hello({ extensions: good }), [20, 1000]); return Buffer.concat([split.subarray(0, 25), Buffer.from('1503010002015a', 'hex'), split.subarray(25)]); })()],
  ['an empty record', Buffer.concat([Buffer.from('1603010000', 'hex'), hello({ extensions: good })])],
  ['a record of SSL 2', hello({ extensions: good, recordVersion: 0x0200 })],
  ['a hello of SSL 2', hello({ extensions: good, version: 0x0002 })],
  ['a ServerHello', record(message(Buffer.alloc(40), 2))],
  ['two hellos in one record', record(Buffer.concat([hello({ extensions: good }).subarray(5), hello({ extensions: [serverName('b.test')] }).subarray(5)]))],
  ['two server names', hello({ extensions: [extension(0, Buffer.from('0012000006612e74657374000006622e74657374', 'hex'))] })],
  ['the server name twice', hello({ extensions: [serverName('a.test'), serverName('b.test')] })],
  ['any extension twice', hello({ extensions: [serverName('a.test'), extension(0x1234, nothing), extension(0x1234, nothing)] })],
  ['an empty server name', hello({ extensions: [serverName('')] })],
  ['an empty list of names', hello({ extensions: [extension(0, Buffer.from('0000', 'hex'))] })],
  ['an empty extension server_name', hello({ extensions: [extension(0, nothing)] })],
  ['a name of another type', hello({ extensions: [extension(0, Buffer.from('0009010006612e74657374', 'hex'))] })],
  ['bytes behind the list of names', hello({ extensions: [extension(0, Buffer.from('0009000006612e7465737400', 'hex'))] })],
  ['a name with NUL', hello({ extensions: [serverName('a.test\0.b.test')] })],
  ['a name with bytes above 127', hello({ extensions: [serverName('\xe4.test')] })],
  ['a name with a port', hello({ extensions: [serverName('a.test:443')] })],
  ['a name of dots', hello({ extensions: [serverName('a..test')] })],
  ['bytes behind the extensions', hello({ extensions: good, trailing: Buffer.from('00', 'hex') })],
  ['an extension cut short', hello({ extensions: [Buffer.from('0000ffff00', 'hex')] })],
  ['a session id of 33 bytes', hello({ extensions: good, session: 33 })],
  ['half a cipher suite', hello({ extensions: good, ciphers: Buffer.from('130113', 'hex') })],
  ['no cipher suite', hello({ extensions: good, ciphers: nothing })],
  ['no compression method', hello({ extensions: good, compression: nothing })],
  ['more than 16 KiB', inRecords(hello({ extensions: [...good, extension(0x1234, Buffer.alloc(maximumClientHelloBytes))] }), [8000])],
  ['a length of 16 MiB', Buffer.from('160301020001ffffff', 'hex')],
];
for (const [title, bytes] of malformed) {
  test(`bad: ${title}`, (t) => {
    t.is(readClientHello(bytes).kind, 'bad');
    t.is(readSlowly(bytes).kind, 'bad');
  });
}

test('the hellos that these are made from are good', (t) => {
  t.deepEqual(readClientHello(hello({ extensions: good })), { kind: 'hello', sni: 'a.test', ech: false, alpn: [] });
  t.deepEqual(readClientHello(hello({ extensions: [] })), { kind: 'hello', sni: undefined, ech: false, alpn: [] });
  t.deepEqual(readClientHello(hello({ extensions: undefined })), { kind: 'hello', sni: undefined, ech: false, alpn: [] });
  t.deepEqual(readClientHello(hello({ extensions: [serverName('A.Test.'), extension(0xfe0d, Buffer.alloc(20))] })), { kind: 'hello', sni: 'a.test', ech: true, alpn: [] });
  const large = inRecords(hello({ extensions: [...good, extension(0x1234, Buffer.alloc(16_000))] }), [4000]);
  t.like(readSlowly(large), { kind: 'hello', sni: 'a.test' });
});

const edits = fc.array(fc.tuple(fc.nat(2000), fc.nat(4), fc.uint8Array({ maxLength: 4 })), { minLength: 1, maxLength: 4 });
const mutate = (bytes: Buffer, changes: readonly (readonly [number, number, Uint8Array])[], keepLength: boolean): Buffer => {
  let result = bytes;
  for (const [at, cut, put] of changes) {
    const where = at % (result.length + 1);
    result = Buffer.concat([result.subarray(0, where), put, result.subarray(where + (keepLength ? put.length : cut))]);
  }
  return result;
};

test('no bytes make it throw, ask for what it has, or read byte by byte what it does not read at once', (t) => {
  fc.assert(fc.property(fc.nat(captured.length - 1), edits, fc.boolean(), fc.array(fc.integer({ min: 1, max: 600 }), { minLength: 1, maxLength: 5 }), (which, changes, keepLength, sizes) => {
    const bytes = mutate(inRecords(captured[which]!, sizes), changes, keepLength);
    const whole = readClientHello(bytes);
    const slow = readSlowly(bytes);
    // Read slowly, what follows a hello is never looked at.
    if (whole.kind === 'hello' && JSON.stringify(slow) !== JSON.stringify(whole)) throw new Error(`${JSON.stringify(slow)} is not ${JSON.stringify(whole)}`);
    if (slow.kind !== whole.kind) throw new Error(`${slow.kind} is not ${whole.kind}`);
  }), { numRuns: fuzzRuns(0.05) });
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
    readClientHello(Buffer.from(bytes));
    readClientHello(Buffer.concat([Buffer.from([22, 3, 1, 0, bytes.length, 1, 0, 0]), bytes]));
  }), { numRuns: fuzzRuns(0.95) });
  t.pass();
});

/** Whether OpenSSL takes a hello, and then under the name that we read; throws where the two differ. */
async function agreesWithOpenSsl(bytes: Buffer): Promise<boolean> {
  const ours = readClientHello(bytes);
  if (ours.kind !== 'hello') return false;
  const theirs = await nameSeenByOpenSsl(bytes);
  // A client that OpenSSL rejects gets nowhere, whatever it named.
  if (!theirs.went) return false;
  const name = theirs.name === undefined ? undefined : canonicalHost(theirs.name);
  if (name !== undefined && (!name.ok || name.host !== ours.sni)) throw new Error(`we read ${ours.sni}, OpenSSL ${theirs.name}`);
  return true;
}

test('what real clients sent is read as OpenSSL reads it, in records of any size', async (t) => {
  for (const bytes of captured) for (const size of [40, 100, 600]) t.true(await agreesWithOpenSsl(inRecords(bytes, [size])));
});

test('no hello is read under another name than OpenSSL reads it under', async (t) => {
  await fc.assert(fc.asyncProperty(
    fc.nat(captured.length - 1), edits, fc.boolean(), fc.array(fc.integer({ min: 40, max: 600 }), { minLength: 1, maxLength: 5 }),
    async (which, changes, keepLength, sizes) => void await agreesWithOpenSsl(mutate(inRecords(captured[which]!, sizes), changes, keepLength)),
  ), { numRuns: fuzzRuns(0.01) });
  t.pass();
});
