import type { ExecutionContext } from 'ava';
import type { Lifetime } from './lifetime.ts';
import { loopback, RawClient, runSocket, startProxyWorker, type ProxyWorker, type ProxyWorkerOptions } from './proxy-worker.ts';
import { startOrigin, type Origin, type Peer } from '../proxy/wire-world.ts';

/** A real worker, one run with its own listener, and one raw origin that has as many names as are asked for: what it hears is the verdict. */
export interface WireWorker {
  readonly proxy: ProxyWorker;
  readonly origin: Origin;
  /** A client on the run's own listener. */
  readonly connect: (t: ExecutionContext) => RawClient;
  /** Host and port of the origin by a name that nobody has used before, so that no connection to it is pooled. */
  readonly fresh: () => string;
  /** Connections that the origin has had. */
  readonly seen: () => number;
  readonly peer: (index: number) => Promise<Peer>;
}

export async function startWireWorker(lifetime: Lifetime, configuration?: ProxyWorkerOptions['configuration']): Promise<WireWorker> {
  const origin = await startOrigin(lifetime);
  const proxy = await startProxyWorker(lifetime, {
    ask: (host, family) => (family === 4 && host.endsWith('.shape.test')
      ? Promise.resolve({ addresses: ['127.0.0.1'], ttlSeconds: 60 })
      : Promise.reject(Object.assign(new Error('none'), { code: 'ENOTFOUND' }))),
    ...(configuration !== undefined && { configuration }),
  });
  const run = proxy.control.createRun({ channel: 'jail', allow: [{ host: '*.shape.test', ports: [origin.port], methods: ['*'] }], policy: loopback });
  await proxy.control.acknowledgedAll();
  let names = 0;
  return {
    proxy, origin,
    connect: (t) => {
      const client = new RawClient(runSocket(proxy, run.snapshot.short_id));
      t.teardown(() => { client.socket.destroy(); });
      return client;
    },
    fresh: () => `s${String(++names).padStart(3, '0')}.shape.test:${origin.port}`,
    seen: () => origin.peers.length,
    peer: (index) => origin.peer(index),
  };
}
