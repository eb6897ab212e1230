import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { encodeReply, parseQuestion } from './dns-message.ts';
import type { DnsZones } from './dns-zones.ts';

/** Octets of a reply over UDP; a longer one says so and is asked for again over TCP (RFC 1035, 2.3.4). */
const longestDatagram = 512;

/** Serves `zones` on port 53 of an address, over UDP and TCP, until the process ends. */
export async function serveDns(address: string, zones: DnsZones): Promise<void> {
  const datagrams = createSocket('udp4');
  datagrams.on('message', (message, from) => {
    answer(zones, message, 'udp', (reply) => datagrams.send(reply, from.port, from.address));
  });
  datagrams.bind(53, address);
  await once(datagrams, 'listening');

  const streams = createServer((socket) => serveStream(socket, zones));
  streams.listen(53, address);
  await once(streams, 'listening');
}

function serveStream(socket: Socket, zones: DnsZones): void {
  let pending = Buffer.alloc(0);
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes: Buffer) => {
    pending = Buffer.concat([pending, bytes]);
    while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
      const length = pending.readUInt16BE(0);
      const message = pending.subarray(2, 2 + length);
      pending = pending.subarray(2 + length);
      answer(zones, message, 'tcp', (reply) => {
        const prefix = Buffer.alloc(2);
        prefix.writeUInt16BE(reply.length, 0);
        socket.write(Buffer.concat([prefix, reply]));
      });
    }
  });
}

function answer(zones: DnsZones, message: Buffer, transport: 'udp' | 'tcp', send: (reply: Buffer) => void): void {
  const question = parseQuestion(message);
  if (question === undefined) return;
  const reply = zones.reply({ name: question.name, type: question.type, transport });
  if (reply.silent) return;
  const whole = encodeReply(question, reply.code, reply.records);
  const bytes = transport === 'udp' && whole.length > longestDatagram ? encodeReply(question, reply.code, [], true) : whole;
  if (reply.delay === 0) send(bytes);
  else setTimeout(() => send(bytes), reply.delay);
}
