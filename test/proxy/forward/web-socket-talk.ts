import { until } from '../../helpers/wait.ts';
import { frame } from '../../helpers/web-socket.ts';
import type { Peer } from '../wire-world.ts';

/** A word each way over what has become a web socket (7 and 11 bytes), the client's end, and a word of the origin behind it. `head`: bytes of the handshake. */
export async function talkAsWebSocket(client: Peer, peer: Peer, head: number): Promise<void> {
  client.forget();
  client.send(frame('hello', true));
  await until('the frame', () => peer.bytes.length === head + 11);
  peer.send(frame('hello', false));
  await until('the answer', () => client.bytes.length === 7);
  client.socket.end();
  await peer.ends();
  peer.send('late');
  await client.hears('late');
  peer.socket.end();
  await client.ends();
}
