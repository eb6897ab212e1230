import { createServer, type AddressInfo, type Socket } from 'node:net';

/** Sends all who ask one and the same event each 10 ms, which holds when it was sent: nanoseconds of the machine's monotonic clock. */
const everyMs = 10;
const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n';
const streams = new Set<Socket>();

setInterval(() => {
  const event = `data: ${process.hrtime.bigint()}\n\n`;
  const chunk = Buffer.from(`${event.length.toString(16)}\r\n${event}\r\n`);
  for (const socket of streams) socket.write(chunk);
}, everyMs);

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => { /* 'close' follows. */ });
  socket.on('close', () => { streams.delete(socket); });
  socket.on('data', () => {
    if (streams.has(socket)) return;
    socket.write(head);
    streams.add(socket);
  });
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
});
