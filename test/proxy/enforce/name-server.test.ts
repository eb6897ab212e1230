import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../../contracts/clock.ts';
import { SallyportError } from '../../../contracts/errors.ts';
import { classifyAddress } from '../../../contracts/addresses.ts';
import type { HostsFile } from '../../../proxy/enforce/hosts-file.ts';
import { askServers, NameResolver, type Ask } from '../../../proxy/enforce/resolver.ts';
import { encodeReply, parseQuestion, recordTypes, responseCodes, type Question, type ResourceRecord } from '../../helpers/world/dns-message.ts';

interface Reply { readonly code?: number; readonly records?: readonly ResourceRecord[]; readonly truncated?: boolean; readonly change?: (bytes: Buffer) => Buffer }
type Respond = (question: Question, transport: 'udp' | 'tcp') => Reply | undefined;

interface Asked { readonly resolver: NameResolver; readonly ask: Ask; readonly questions: { readonly name: string; readonly type: number; readonly transport: string }[] }

const noHosts = { lookup: () => Promise.resolve(undefined) } as unknown as HostsFile;

/** Our resolver as it asks for real, and a name server on loopback that says what it is told to. */
async function askedOf(t: ExecutionContext, respond: Respond): Promise<Asked> {
  const questions: Asked['questions'] = [];
  const say = (message: Buffer, transport: 'udp' | 'tcp', send: (bytes: Buffer) => void): void => {
    const question = parseQuestion(message);
    if (question === undefined) return;
    questions.push({ name: question.name, type: question.type, transport });
    const reply = respond(question, transport);
    if (reply === undefined) return;
    const bytes = encodeReply(question, reply.code ?? responseCodes.noError, reply.records ?? [], reply.truncated);
    send(reply.change?.(bytes) ?? bytes);
  };
  const { streams, datagrams, port } = await bothOnOnePort();
  t.teardown(() => { datagrams.close(); streams.close(); });
  datagrams.on('message', (message, from) => say(message, 'udp', (bytes) => datagrams.send(bytes, from.port, from.address)));
  streams.on('connection', (socket: Socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes: Buffer) => say(bytes.subarray(2), 'tcp', (reply) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(reply.length);
      socket.write(Buffer.concat([length, reply]));
    }));
    t.teardown(() => socket.destroy());
  });
  const ask = askServers([`127.0.0.1:${port}`]);
  return { questions, ask, resolver: new NameResolver(systemClock, ask, noHosts) };
}

/** A free port for streams may be somebody's for datagrams, so another one is tried then. */
async function bothOnOnePort(): Promise<{ readonly streams: Server; readonly datagrams: DatagramSocket; readonly port: number }> {
  for (let tries = 0; ; tries++) {
    const streams = createServer().listen(0, '127.0.0.1');
    await once(streams, 'listening');
    const { port } = streams.address() as AddressInfo;
    const datagrams = createSocket('udp4');
    datagrams.bind(port, '127.0.0.1');
    try {
      await once(datagrams, 'listening');
      return { streams, datagrams, port };
    } catch (error) {
      datagrams.close();
      streams.close();
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || tries === 20) throw error;
    }
  }
}

const typeOf = (address: string): 'A' | 'AAAA' => address.includes(':') ? 'AAAA' : 'A';
const records = (question: Question, addresses: readonly string[], name: string = question.name, ttl: number = 60): readonly ResourceRecord[] =>
  addresses.filter((address) => recordTypes[typeOf(address)] === question.type).map((data) => ({ name, type: typeOf(data), data, ttl }));

async function addressesOf({ resolver }: Asked, host: string): Promise<readonly string[]> {
  return [...(await resolver.resolve(host)).addresses].sort();
}

const answered: readonly (readonly [title: string, respond: Respond, addresses: readonly string[]])[] = [
  ['both families', (question) => ({ records: records(question, ['20.0.0.1', '2620:1::1']) }), ['20.0.0.1', '2620:1::1']],
  ['AAAA only', (question) => ({ records: records(question, ['2620:1::1']) }), ['2620:1::1']],
  ['A only, and no such name for AAAA', (question) => question.type === recordTypes.A ? { records: records(question, ['20.0.0.1']) } : { code: responseCodes.nameError }, ['20.0.0.1']],
  ['A only, and a server failure for AAAA', (question) => question.type === recordTypes.A ? { records: records(question, ['20.0.0.1']) } : { code: responseCodes.serverFailure }, ['20.0.0.1']],
  ['a chain of aliases to inside', (question) => ({ records: [{ name: question.name, type: 'CNAME', data: 'b.test', ttl: 5 }, { name: 'b.test', type: 'CNAME', data: 'c.test', ttl: 5 }, ...records(question, ['10.0.0.1', 'fd00::1'], 'c.test')] }), ['10.0.0.1', 'fd00::1']],
  ['one private address among public ones', (question) => ({ records: records(question, ['20.0.0.1', '10.0.0.1', '20.0.0.2']) }), ['10.0.0.1', '20.0.0.1', '20.0.0.2']],
  ['what a DNS64 made of a metadata address', (question) => ({ records: records(question, ['64:ff9b::a9fe:a9fe']) }), ['64:ff9b::a9fe:a9fe']],
  ['addresses that fit no datagram, over TCP', (question, transport) => transport === 'udp' ? { truncated: true } : { records: records(question, Array.from({ length: 60 }, (_, index) => `20.0.0.${index + 1}`)) }, Array.from({ length: 60 }, (_, index) => `20.0.0.${index + 1}`).sort()],
];
for (const [title, respond, addresses] of answered) {
  test(`resolves: ${title}`, async (t) => {
    t.deepEqual(await addressesOf(await askedOf(t, respond), 'site.test'), addresses);
  });
}

test('every address that a chain or a DNS64 leads to is classified by what it is', (t) => {
  t.deepEqual(['10.0.0.1', 'fd00::1', '64:ff9b::a9fe:a9fe'].map((address) => classifyAddress(address)?.address_class), ['private', 'unique_local', 'metadata']);
});

const failing: readonly (readonly [title: string, respond: Respond, message: RegExp])[] = [
  ['no such name', () => ({ code: responseCodes.nameError }), /does not exist/],
  ['no address of either family', () => ({}), /has no address/],
  ['an alias that leads to nothing', (question) => ({ records: [{ name: question.name, type: 'CNAME', data: 'gone.test', ttl: 5 }] }), /has no address/],
  ['a server failure', () => ({ code: responseCodes.serverFailure }), /its name server failed|could not be resolved/],
  ['a server that refuses (lame)', () => ({ code: responseCodes.refused }), /could not be resolved/],
  ['65 addresses', (question, transport) => transport === 'udp' ? { truncated: true } : { records: records(question, Array.from({ length: 65 }, (_, index) => `20.0.0.${index + 1}`)) }, /more than 64 addresses/],
  ['half a message', () => ({ change: (bytes) => bytes.subarray(0, 20) }), /could not be resolved/],
  ['an answer with another id', (question) => ({ records: records(question, ['20.0.0.1']), change: (bytes) => { bytes.writeUInt16BE((question.id + 1) & 0xffff, 0); return bytes; } }), /in time/],
  ['an answer to another question', (question) => ({ records: records(question, ['20.0.0.1']), change: (bytes) => { bytes.write('x', 13); return bytes; } }), /in time/],
  ['silence', () => undefined, /in time/],
];
for (const [title, respond, message] of failing) {
  test(`is upstream_dns: ${title}`, async (t) => {
    const asked = await askedOf(t, respond);
    const error = await t.throwsAsync(async () => await asked.resolver.resolve('site.test'), { instanceOf: SallyportError, message });
    t.is(error?.code, 'upstream_dns');
  });
}

test('a name that changes, appears or goes is seen as soon as our own cache lets go: nothing below it keeps anything', async (t) => {
  let reply: (question: Question) => Reply = (question) => ({ records: records(question, ['20.0.0.1'], question.name, 0) });
  const asked = await askedOf(t, (question) => reply(question));
  let now = 0;
  const resolver = new NameResolver({ ...systemClock, monotonic: () => now }, asked.ask, noHosts);
  const addresses = async (): Promise<string> => [...(await resolver.resolve('site.test')).addresses].join();
  t.is(await addresses(), '20.0.0.1');
  reply = (question) => ({ records: records(question, ['10.0.0.1'], question.name, 0) });
  t.is(await addresses(), '20.0.0.1');
  now += 1000;
  t.is(await addresses(), '10.0.0.1');
  reply = () => ({ code: responseCodes.nameError });
  now += 1000;
  await t.throwsAsync(addresses, { message: /does not exist/ });
  reply = (question) => ({ records: records(question, ['20.0.0.2']) });
  now += 5000;
  t.is(await addresses(), '20.0.0.2');
});
