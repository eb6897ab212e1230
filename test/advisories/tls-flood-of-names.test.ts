/**
 * Certificates that are made on demand, for whoever asks: an agent that names thousands of hosts fills the cache of them, drives out what others
 * use, and keeps a processor busy with signatures. Refusals that are told inside TLS are no cheaper.
 *
 * Here a flood of names takes room from the run that makes it and from no other, no name of it is looked up, and when a run is refused too
 * often, the CONNECT is answered in clear text, for which nothing is made, and not recorded one by one.
 */
import test, { type ExecutionContext } from 'ava';
import { createConnection } from 'node:net';
import type { FakeRun } from '../helpers/fake-control-plane.ts';
import { head, RawClient } from '../helpers/proxy-worker.ts';
import { captureHello } from '../helpers/tls-hello.ts';
import { fileTlsScene, insideHttp1, lookedInto } from '../helpers/tls-scene.ts';
import { within } from '../helpers/wait.ts';

const scene = fileTlsScene();
const host = (): string => `site.test:${scene().site.port}`;
/** More than a worker keeps (`mostContexts`). */
const names = 1_100;
/** What a run may be refused at once, and after that in a second (`refusalLimits`). */
const burst = 1000;
const rate = 100;
/** At the same time. */
const clients = 30;

/** So many requests that are refused, one behind the other on one connection. */
async function refusedOften(run: FakeRun, times: number): Promise<void> {
  const client = new RawClient(scene().proxy);
  client.send(head('http://forbidden.test/', { authorization: run.authorization }).repeat(times));
  for (let index = 0; index < times; index++) await client.answer();
  client.socket.destroy();
}

interface Tally {
  /** Answers to CONNECT by their status. */
  readonly statuses: Map<number, number>;
  /** First bytes inside those that were opened: 22 is a handshake. */
  readonly first: Map<number | undefined, number>;
}

/** CONNECTs to as many hosts, each with the same bytes inside. */
async function flood(run: FakeRun, name: (index: number) => string, inside: Buffer, names: number): Promise<Tally> {
  const statuses = new Map<number, number>();
  const first = new Map<number | undefined, number>();
  const count = <K>(map: Map<K, number>, key: K): void => { map.set(key, (map.get(key) ?? 0) + 1); };
  let next = 0;
  const one = (authority: string): Promise<void> => within(`an answer to a CONNECT to ${authority}`, new Promise((resolve) => {
    const socket = createConnection(scene().proxy.port, '127.0.0.1');
    let text = '';
    let answered: number | undefined;
    socket.setEncoding('latin1').on('data', (piece: string) => {
      text += piece;
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) return;
      if (answered === undefined) {
        answered = Number(text.slice(9, 12));
        count(statuses, answered);
        if (answered === 200) socket.write(inside);
        else socket.destroy();
      }
      if (text.length > end + 4) socket.destroy();
    });
    socket.on('error', () => { /* 'close' follows. */ });
    socket.on('close', () => {
      if (answered === 200) count(first, text.length > text.indexOf('\r\n\r\n') + 4 ? text.charCodeAt(text.indexOf('\r\n\r\n') + 4) : undefined);
      resolve();
    });
    socket.write(head(authority, { method: 'CONNECT', authorization: run.authorization }));
  }));
  await Promise.all(Array.from({ length: clients }, async () => {
    while (next < names) await one(`${name(next++)}:${scene().site.port}`);
  }));
  return { statuses, first };
}

const anonymous = captureHello({});

/** Serial number of the leaf that a run is shown for `site.test`. */
async function serial(t: ExecutionContext, run: FakeRun): Promise<string> {
  const client = await insideHttp1(t, scene(), run);
  t.is((await client.send(head('/', { host: host() })).answer()).status, 200);
  const shown = (client.socket as unknown as { getPeerX509Certificate(): { readonly serialNumber: string } }).getPeerX509Certificate().serialNumber;
  client.socket.destroy();
  return shown;
}

test.serial('a run that names more hosts than there is room for drives out its own certificates alone, and looks up no name by it', async (t) => {
  const neighbour = await lookedInto(scene());
  const before = await serial(t, neighbour);
  const run = await lookedInto(scene(), { hosts: ['site.test', '*.flood.test'] });
  const own = await serial(t, run);
  const flooding = flood(run, (index) => `h${index}.flood.test`, await anonymous, names);
  t.is(await serial(t, neighbour), before, 'meanwhile');
  const { statuses, first } = await flooding;
  t.deepEqual([...statuses], [[200, names]]);
  t.deepEqual([...first], [[22, names]], 'each was answered in TLS');
  t.is(await serial(t, neighbour), before, 'afterwards');
  t.not(await serial(t, run), own, 'its own was driven out, so the flood was one');
  t.deepEqual(scene().proxy.asked.filter((name) => name.endsWith('.flood.test')), []);
});

/** Refuses the run until it is too often, and goes on while `work` does. */
async function whileRefused<T>(run: FakeRun, work: () => Promise<T>): Promise<{ readonly result: T; readonly most: number }> {
  const began = performance.now();
  await refusedOften(run, burst + rate);
  const [result] = await Promise.all([work(), refusedOften(run, 1500)]);
  return { result, most: burst + 1 + (performance.now() - began) / 1000 * rate };
}

test.serial('a run that is refused too often is answered on the CONNECT, where it costs no handshake, and recorded no more one by one', async (t) => {
  const { control, asked } = scene().proxy;
  const [run, neighbour] = [await lookedInto(scene()), await lookedInto(scene())];
  const hello = await anonymous;
  const { result: { statuses, first }, most } = await whileRefused(run, () => flood(run, (index) => `h${index}.forbidden.test`, hello, 100));
  t.true((statuses.get(429) ?? 0) > 0);
  t.is((statuses.get(429) ?? 0) + (statuses.get(200) ?? 0), 100);
  t.is(first.get(22) ?? 0, statuses.get(200) ?? 0);
  t.deepEqual(asked.filter((name) => name.endsWith('forbidden.test')), []);
  t.truthy(await serial(t, neighbour), 'another run goes on');
  await control.ingested('word of what was left out', (events) => events.some(({ type }) => type === 'journal.omitted'));
  t.true(control.of(run, 'egress.denied').length <= most, `${control.of(run, 'egress.denied').length} of ${most}`);
});

test.serial('so is one that sends what can\'t be judged into tunnels, on which no answer is possible', async (t) => {
  const { control } = scene().proxy;
  const run = await lookedInto(scene());
  const { result: { statuses } } = await whileRefused(run, () => flood(run, () => 'site.test', Buffer.from('\0 no request'), 100));
  t.is(statuses.get(200), 100);
  const last = await lookedInto(scene());
  await flood(last, () => 'site.test', Buffer.from('\0 no request'), 1);
  await control.ingested('the last one', () => control.of(last, 'egress.denied').length === 1);
  const recorded = control.of(run, 'egress.denied').filter(({ facts }) => facts['code'] === 'not_supported').length;
  t.true(recorded < 100, `${recorded} of 100`);
});
