import test from 'ava';
import type { FakeRun, FakeRunOptions } from './fake-control-plane.ts';
import { fileLifetime } from './lifetime.ts';
import { head, loopback, RawClient, runSocket, startLocalOrigin, startProxyWorker, type Answer, type LocalOrigin, type Place, type ProxyWorker, type ProxyWorkerOptions } from './proxy-worker.ts';

/**
 * What the advisories' tests share: a whole worker, `site.test` that a run may reach, and `forbidden.test` that none may. Both are
 * on loopback, whose range every run may dial unless it says otherwise, so that only the defence under test stands in the way.
 */
export interface Scene {
  readonly proxy: ProxyWorker;
  readonly site: LocalOrigin;
  readonly forbidden: LocalOrigin;
}

const names: Readonly<Record<string, readonly string[]>> = { 'site.test': ['127.0.0.1'], 'forbidden.test': ['127.0.0.1'] };

/** A scene for a whole file, made before its first test. */
export function fileScene(options: ProxyWorkerOptions = {}): () => Scene {
  const lifetime = fileLifetime();
  let scene: Scene | undefined;
  test.before('build the scene', async () => {
    const [site, forbidden] = [await startLocalOrigin(lifetime), await startLocalOrigin(lifetime)];
    scene = { site, forbidden, proxy: await startProxyWorker(lifetime, { ...options, names: { ...names, ...options.names } }) };
  });
  return () => scene!;
}

/** A run that may GET and POST at `site.test`, and nothing else, unless told. */
export async function allowedRun({ proxy, site }: Scene, options: FakeRunOptions = {}): Promise<FakeRun> {
  const run = proxy.control.createRun({ allow: [{ host: 'site.test', ports: [site.port], methods: ['GET', 'POST'] }], policy: loopback, ...options });
  await proxy.control.acknowledgedAll();
  return run;
}

/** Each way in which an agent can ask for a place. */
export const forms = ['absolute', 'connect', 'inside'] as const;
export type FormOfRequest = (typeof forms)[number];

/**
 * Asks for `authority` (host and port) in one of the forms, by credentials or by the run's own listener: the last answer. What a
 * CONNECT opens is used for a GET, so that whoever is behind it sees something.
 */
export async function askInForm({ proxy }: Scene, run: FakeRun, form: FormOfRequest, authority: string, path: string = '/'): Promise<Answer> {
  const jailed = run.snapshot.channel === 'jail';
  const place: Place = jailed ? runSocket(proxy, run.snapshot.short_id) : proxy;
  const options = jailed ? {} : { authorization: run.authorization };
  const client = new RawClient(place);
  try {
    if (form === 'absolute') return await client.send(head(`http://${authority}${path}`, options)).answer();
    const opened = await client.send(head(authority, { method: 'CONNECT', ...options })).answer();
    return opened.status === 200 ? await client.send(head(path, { host: authority })).answer() : opened;
  } finally {
    client.socket.destroy();
  }
}
