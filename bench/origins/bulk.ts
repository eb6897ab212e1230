import { createServer, type AddressInfo, type Socket } from 'node:net';

/** GET /BYTES sends so many bytes; a POST is swallowed, and answered after its last byte with its length as text. */
const piece = Buffer.alloc(256 * 1024, 'x');

const okay = (length: number): string => `HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: ${length}\r\n\r\n`;

function send(socket: Socket, length: number): void {
  socket.write(okay(length));
  let left = length;
  const more = (): void => {
    while (left > 0) {
      const next = left >= piece.length ? piece : piece.subarray(0, left);
      left -= next.length;
      if (!socket.write(next)) return;
    }
    socket.off('drain', more);
  };
  socket.on('drain', more);
  more();
}

const server = createServer({ noDelay: true }, (socket) => {
  let head = '';
  let swallowed = 0;
  let left = 0;
  socket.on('error', () => { /* 'close' follows. */ });
  socket.on('data', (bytes: Buffer) => {
    let body = bytes.length;
    if (left === 0) {
      const before = head.length;
      head += bytes.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      const [, method, path] = /^(\w+) \/(\d*)/.exec(head) ?? [];
      if (method === 'GET') {
        head = '';
        send(socket, Number(path));
        return;
      }
      body = bytes.length - (end + 4 - before);
      left = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      swallowed = 0;
      head = '';
    }
    left -= body;
    swallowed += body;
    if (left > 0) return;
    const told = String(swallowed);
    left = 0;
    socket.write(okay(told.length) + told);
  });
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
});
