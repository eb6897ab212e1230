/** Leaves the proxy aside: a TCP connection, a datagram, a look-up. */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';

const say = (name, saw) => console.log(`${name}\t${saw}`);

await new Promise((resolve) => {
  const socket = connect({ host: '20.30.40.50', port: 80, timeout: 3000 });
  const done = (saw) => {
    socket.destroy();
    say('a direct connection', saw);
    resolve();
  };
  socket.on('connect', () => done('connected'));
  socket.on('timeout', () => done('no answer'));
  socket.on('error', (error) => done(error.code));
});

await new Promise((resolve) => {
  const socket = createSocket('udp4');
  const done = (saw) => {
    socket.close();
    say('a datagram', saw);
    resolve();
  };
  socket.send('hello', 53, '169.254.169.254', (error) => done(error === null ? 'sent' : error.code));
});

say('a look-up', await lookup('site.example').then(() => 'found', (error) => error.code));
