/**
 * A client that breaks off at the worst moment: in the middle of a record, with bytes of no sense, between the handshake and the first request, while its answer
 * flows. Proxies died of it, as what a library throws for a connection that has just gone is nobody's error; one client then ends all runs'.
 *
 * Here the worker goes on whenever and however a client leaves, and each request that was let through has its one end in the record.
 */
import test from 'ava';
import type { ServerResponse } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { duplexPair } from 'node:stream';
import { connect } from 'node:tls';
import { readTrusted } from '../../proxy/intercept/authority/authorities.ts';
import type { FakeRun } from '../helpers/fake-control-plane.ts';
import { head } from '../helpers/proxy-worker.ts';
import { captureHello } from '../helpers/tls-hello.ts';
import { fileTlsScene, insideHttp1, insideHttp2, askHttp2, lookedInto, openTunnel } from '../helpers/tls-scene.ts';
import { event } from '../helpers/wait.ts';

const scene = fileTlsScene({
  respond: (_request, response) => {
    const answer = response as ServerResponse;
    answer.write('x'.repeat(50_000));
    setImmediate(() => { answer.end('the end'); });
  },
});
const host = (name: string): string => `${name}:${scene().site.port}`;

type Leave = 'end' | 'reset' | 'destroy' | 'garbage';

/** Asks by TLS through a tunnel that takes so many bytes of the client, and is then left. */
async function brokenOff(run: FakeRun, name: string, protocol: 'h2' | 'http/1.1' | '1.0', bytes: number, leave: Leave): Promise<void> {
  const tunnel = await openTunnel(scene(), run, host(name));
  const [near, far] = duplexPair();
  const closed = event('the close of the tunnel', tunnel, 'close');
  let left = bytes;
  const go = (): void => {
    if (leave === 'end') tunnel.end();
    else if (leave === 'reset') tunnel.resetAndDestroy();
    else if (leave === 'destroy') tunnel.destroy();
    else if (tunnel.writable) tunnel.end(Buffer.alloc(100, 0x17));
  };
  tunnel.on('data', (piece: Buffer) => { far.write(piece); });
  tunnel.resume();
  if (left === 0) go();
  far.on('data', (piece: Buffer) => {
    if (left <= 0) return;
    tunnel.write(piece.subarray(0, left));
    left -= piece.length;
    if (left <= 0) go();
  });
  const secure = connect({ socket: near, servername: name, ca: readTrusted(scene().proxy.folder), ALPNProtocols: [protocol === 'h2' ? 'h2' : 'http/1.1'] });
  for (const stream of [secure, near, far]) stream.on('error', () => { /* It is broken off. */ });
  // Whoever may send all that it asks leaves with the first of its answers.
  secure.once('secureConnect', () => {
    if (protocol === 'h2') {
      const session = connectHttp2(`https://${host(name)}`, { createConnection: () => secure });
      session.on('error', () => { /* The same. */ });
      for (let index = 0; index < 3; index++) session.request({ ':path': '/' }).on('error', () => { /* The same. */ }).on('response', go).resume();
    } else {
      secure.on('data', go);
      secure.write(`GET / HTTP/${protocol === '1.0' ? '1.0' : '1.1'}\r\nHost: ${host(name)}\r\n\r\n`.repeat(3));
    }
  });
  await closed;
  secure.destroy();
}

test('whenever a client breaks off, the worker goes on, and every request that was let through has its end', async (t) => {
  const { proxy } = scene();
  const run = await lookedInto(scene());
  const hello = (await captureHello({ servername: 'site.test', ALPNProtocols: ['http/1.1'] })).length;
  const points = [0, 1, 5, 6, hello - 1, hello, hello + 1, hello + 6, hello + 40, hello + 64, hello + 80, hello + 81, hello + 110, hello + 170, hello + 250, hello + 400, 100_000];
  const cases: (() => Promise<void>)[] = [];
  for (const protocol of ['h2', 'http/1.1', '1.0'] as const) for (const name of ['site.test', 'other.test']) for (const leave of ['end', 'reset', 'destroy', 'garbage'] as const) {
    for (const bytes of points) cases.push(() => brokenOff(run, name, protocol, bytes, leave));
  }
  let next = 0;
  await Promise.all(Array.from({ length: 10 }, async () => {
    while (next < cases.length) await cases[next++]!();
  }));
  const last = await lookedInto(scene());
  t.is((await (await insideHttp1(t, scene(), last)).send(head('/', { host: host('site.test'), method: 'HEAD' })).until('an answer', (text) => text.includes('\r\n\r\n'))).slice(0, 12), 'HTTP/1.1 200');
  t.is((await askHttp2(await insideHttp2(t, scene(), last))).status, 200);
  const ofType = (...types: readonly string[]): number => proxy.control.of(run).filter(({ type }) => types.includes(type)).length;
  await proxy.control.ingested('an end for each', () => ofType('egress.decided') > 0 && ofType('egress.decided') === ofType('egress.completed', 'egress.failed', 'egress.cut'));
  t.log(`${cases.length} times, ${ofType('egress.decided')} requests let through, ${ofType('egress.denied')} refusals`);
});
