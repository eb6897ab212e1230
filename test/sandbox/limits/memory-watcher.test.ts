import { systemClock } from '../../../contracts/clock.ts';
import { jailMemory, watchMemory } from '../../../sandbox/limits/memory-watcher.ts';
import { statOf } from '../../../sandbox/processes.ts';
import { python, startTestJail } from '../../helpers/jail.ts';
import { needs } from '../../helpers/needs.ts';
import { event, within } from '../../helpers/wait.ts';

const test = needs('jail', 'command python3');
const MiB = 1024 * 1024;

/** Each holds 100 MiB, of which a naive sum of one process' own memory sees nothing or too little. */
const hiding: readonly (readonly [title: string, script: string])[] = [
  ["the agent's own", "held = bytearray(b'x') * (100 << 20)"],
  ['its children', `
reading, writing = os.pipe()
for _ in range(4):
    if os.fork() == 0:
        held = bytearray(b'x') * (25 << 20)
        os.write(writing, b'x')
        signal.pause()
for _ in range(4): os.read(reading, 1)`],
  ['a file in memory', "fd = os.memfd_create('x'); [os.write(fd, b'x' * (10 << 20)) for _ in range(10)]"],
  ['/tmp', "one = open('/tmp/f', 'wb'); [one.write(b'x' * (1 << 20)) for _ in range(100)]; one.close()"],
  ['home', "one = open('/home/agent/f', 'wb'); [one.write(b'x' * (1 << 20)) for _ in range(100)]; one.close()"],
  ['shared memory without a name', "import mmap; held = mmap.mmap(-1, 100 << 20); [held.write(b'x' * (1 << 20)) for _ in range(100)]"],
  ['a process that hides its mappings', "libc.prctl(4, 0, 0, 0, 0); held = bytearray(b'x') * (100 << 20)"],
];

for (const [title, script] of hiding) {
  test.serial(`memory of a jail is seen in ${title}`, async (t) => {
    const { jail } = await startTestJail(t, python(`${script}\nprint('holding', flush=True)\nsignal.pause()`), { collect: false });
    jail.stderr.resume();
    for await (const chunk of jail.stdout) if (String(chunk).includes('holding')) break;
    const held = jailMemory(statOf(jail.facts.agent_pid)?.parent ?? 0) / MiB;
    t.true(held > 99 && held < 140, `${held.toFixed(0)} MiB`);
    await jail.kill();
  });
}

test.serial('the watcher tells once that the limit is passed, and nothing after it was stopped', async (t) => {
  const { jail } = await startTestJail(t, python("print('ready', flush=True); sys.stdin.readline(); held = bytearray(b'x') * (100 << 20); signal.pause()"));
  await event('the agent', jail.stdout, 'data');
  const init = statOf(jail.facts.agent_pid)?.parent ?? 0;
  let told = 0;
  const stopped = watchMemory(init, 1, systemClock, () => { told += 1; });
  stopped.stop();
  const exceeded = new Promise<void>((resolve) => { watchMemory(init, 50 * MiB, systemClock, resolve); });
  jail.stdin.write('go\n');
  await within('the word of the watcher', exceeded);
  t.is(told, 0);
  await jail.kill();
});
