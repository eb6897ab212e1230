import test from 'ava';
import { connect, createServer } from 'node:http2';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { keepSessionFor } from '../../../proxy/wire/http2-handles.ts';
import { listen } from '../../helpers/listen.ts';
import { until } from '../../helpers/wait.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function handleOf(owner: object): object {
  const symbol = Object.getOwnPropertySymbols(owner).find(({ description }) => description === 'kHandle')!;
  return (owner as Record<symbol, object>)[symbol]!;
}

/** One exchange on a session of its own, all over and forgotten but for the stream's handle. */
async function leftOver(port: number, keep: boolean): Promise<{ stream: object | undefined; readonly session: WeakRef<object> }> {
  const session = connect(`http://127.0.0.1:${port}`);
  await new Promise<void>((resolve) => { session.once('connect', () => { resolve(); }); });
  const stream = session.request({ ':path': '/' });
  if (keep) keepSessionFor(stream);
  const left = { stream: handleOf(stream), session: new WeakRef(handleOf(session)) };
  stream.resume();
  await new Promise<void>((resolve) => { stream.once('close', resolve); });
  session.close();
  await new Promise<void>((resolve) => { session.once('close', () => { resolve(); }); });
  return left;
}

const isCollected = (reference: WeakRef<object>) => async (): Promise<boolean> => {
  await new Promise(setImmediate);
  collectGarbage();
  return reference.deref() === undefined;
};

test('a native session is not collected before its native streams, and is after them', async (t) => {
  const server = createServer((_request, response) => { response.end('ok'); });
  const port = await listen(server, () => { server.listen(0, '127.0.0.1'); });
  t.teardown(() => { server.close(); });
  const kept = await leftOver(port, true);
  const control: { stream: object | undefined; readonly session: WeakRef<object> } = await leftOver(port, false);
  // Node by itself lets it go while the stream's handle is here.
  await until('the session of the other stream to be collected', isCollected(control.session));
  t.not(control.stream, undefined);
  for (let turn = 0; turn < 10; turn++) t.false(await isCollected(kept.session)());
  kept.stream = undefined;
  await until('the session to be collected', isCollected(kept.session));
});
