import { createServer, type AddressInfo } from 'node:net';
import { smallBytes } from '../stage.ts';

/** Where nginx is missing: answers every GET with 1 KiB, on raw sockets, as cheaply as Node can, since it shares a core with the load. */
const body = 'x'.repeat(smallBytes);
const answer = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${smallBytes}\r\n\r\n${body}`);
const lastAnswer = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${smallBytes}\r\nConnection: close\r\n\r\n${body}`);
const end = Buffer.from('\r\n\r\n');

const server = createServer({ noDelay: true }, (socket) => {
  let rest: Buffer | undefined;
  socket.on('error', () => { /* 'close' follows. */ });
  socket.on('data', (bytes: Buffer) => {
    let all = rest === undefined ? bytes : Buffer.concat([rest, bytes]);
    for (let at = all.indexOf(end); at >= 0; at = all.indexOf(end)) {
      if (/\r\nconnection: close\r\n/i.test(all.toString('latin1', 0, at + 2))) {
        socket.end(lastAnswer);
        return;
      }
      socket.write(answer);
      all = all.subarray(at + 4);
    }
    rest = all.length === 0 ? undefined : all;
  });
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
});
