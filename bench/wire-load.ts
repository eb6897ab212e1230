import { connect } from 'node:net';

/**
 * Keep-alive GETs through a proxy, one outstanding on each connection. Every answer must be a 200 with its whole body, and every
 * connection must have made progress at the end, or the figure is void.
 */
const [port, target, connections, seconds, authorization] = process.argv.slice(2).map((value, index) => (index === 1 || index === 4 ? value : Number(value))) as [number, string, number, number, string | undefined];
const credentials = authorization === undefined ? '' : `Proxy-Authorization: ${authorization}\r\n`;
const request = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: ${new URL(target).host}\r\nUser-Agent: bench\r\nAccept: */*\r\n${credentials}\r\n`);
let counted = 0;
let problem: string | undefined;
let over = false;
const lastSeen = new Float64Array(connections);

function client(index: number): void {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  let head = '';
  let left = -1;
  let outstanding = false;
  let answers = 0;
  const send = (): void => {
    outstanding = true;
    socket.write(request);
  };
  socket.on('connect', send);
  socket.on('error', (error) => { if (!over && answers === 0) problem ??= error.message; });
  socket.on('close', () => {
    if (over) return;
    // Some proxies close after each answer, not always saying so before; that is slow, not wrong.
    if (outstanding && (answers === 0 || left >= 0 || head !== '')) problem ??= 'closed before the answer';
    else client(index);
  });
  socket.on('data', (bytes: Buffer) => {
    let at = 0;
    if (left < 0) {
      head += bytes.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = /\r\ncontent-length: (\d+)\r\n/i.exec(head);
      if (!head.startsWith('HTTP/1.1 200') && !head.startsWith('HTTP/1.0 200')) problem ??= head.slice(0, 40);
      at = bytes.length - (head.length - end - 4);
      left = Number(length?.[1] ?? 0);
      if (left !== 1024) problem ??= 'wrong length';
      head = '';
    }
    left -= bytes.length - at;
    if (left > 0) return;
    if (left < 0) problem ??= 'more than one answer';
    left = -1;
    outstanding = false;
    counted++;
    answers++;
    lastSeen[index] = performance.now();
    if (!over && socket.writable) send();
  });
  socket.on('end', () => { socket.end(); });
}

for (let index = 0; index < connections; index++) client(index);
const warmMs = 500;
setTimeout(() => {
  const before = counted;
  const began = performance.now();
  setTimeout(() => {
    const took = (performance.now() - began) / 1000;
    const stuck = lastSeen.filter((at) => performance.now() - at > 1000).length;
    if (stuck > 0) problem ??= `${stuck} connections without progress for a second`;
    over = true;
    console.log(JSON.stringify({ per_second: (counted - before) / took, problem: problem ?? null }));
    process.exit(0);
  }, seconds * 1000);
}, warmMs);
