/** An agent that takes more than its share. */
import type { JailSpecInput } from '../../../contracts/jail.ts';
import { readHierarchies } from '../../../sandbox/limits/limits.ts';
import { probe, python, runInJail, startTestJail } from '../../helpers/jail.ts';
import { needs } from '../../helpers/needs.ts';

const test = needs('jail', 'command python3');
const MiB = 1024 * 1024;

test.serial('a fork bomb stops at its limit, and the host goes on', async (t) => {
  const script = `
count = 0
try:
    while count < 400:
        if os.fork() == 0:
            signal.pause()
        count += 1
except OSError as problem:
    print(errno.errorcode[problem.errno])
print(count)`;
  const [error = '', count = ''] = (await probe(t, script, { spec: { pids: 60 } })).split('\n');
  t.is(error, 'EAGAIN');
  t.true(Number(count) > 20 && Number(count) < 60, count);
});

const allocate = `
blocks = []
for index in range(64): blocks.append(bytearray(os.urandom(1) * (16 << 20)))
import time; time.sleep(3)
print('survived')`;

const bombs: readonly { readonly title: string; readonly argv: readonly string[]; readonly spec?: Partial<JailSpecInput> }[] = [
  { title: 'one process', argv: python(allocate) },
  { title: 'many processes', argv: python(`
for index in range(16):
    if os.fork() == 0:
        block = bytearray(os.urandom(1) * (64 << 20)); signal.pause()
import time; time.sleep(3); print('survived')`) },
  { title: 'files in memory', argv: python(`
import mmap
held = []
for index in range(64):
    fd = os.memfd_create('x'); os.write(fd, b'x' * (16 << 20)); held.append(fd)
import time; time.sleep(3); print('survived')`) },
  { title: '/tmp', argv: ['sh', '-c', 'dd if=/dev/zero of=/tmp/f bs=1M count=1000 2>/dev/null; sleep 3; echo survived'], spec: { tmp_bytes: 2000 * MiB } },
];

for (const { title, argv, spec } of bombs) {
  test.serial(`more memory than is allowed, in ${title}: the agent or its jail is ended, and the launcher lives`, async (t) => {
    const { jail, stdout } = await startTestJail(t, argv, { spec: { memory_bytes: 300 * MiB, ...spec } });
    const { memory } = jail.facts.limits;
    // A group kills the one process that asks for too much, others of the jail may go on; the watcher ends the jail.
    const end = await jail.exited;
    if (memory === 'watcher' || title === 'one process') {
      t.is(end.ended_by, 'memory_limit');
      t.is(await stdout, '');
    }
    if (memory !== 'watcher') t.true(end.memory_kills > 0);
  });
}

test.serial('/tmp, home and shared memory end at their sizes', async (t) => {
  const fill = (path: string): string => `dd if=/dev/zero of=${path}/f bs=1M count=200 2>&1 | grep -o 'No space left on device'; stat -c %s ${path}/f`;
  const { stdout } = await runInJail(t, ['sh', '-c', ['/tmp', '/home/agent', '/dev/shm'].map(fill).join('; ')], { spec: { tmp_bytes: 8 * MiB, home_bytes: 16 * MiB } });
  t.deepEqual(stdout.trim().split('\n'), [8, 16, 64].flatMap((size) => ['No space left on device', String(size * MiB)]));
});

test.serial('a work folder that grows past its quota ends the jail', async (t) => {
  const { end, stdout } = await runInJail(t, ['sh', '-c', 'for i in 1 2 3 4 5 6; do dd if=/dev/urandom of=f$i bs=1M count=4 2>/dev/null; done; sleep 30; echo survived'], { spec: { work_quota_bytes: 10 * MiB } });
  t.is(end.ended_by, 'work_quota');
  t.is(stdout, '');
});

test.serial('a work folder within its quota does not', async (t) => {
  const { end } = await runInJail(t, ['sh', '-c', 'dd if=/dev/urandom of=f bs=1M count=4 2>/dev/null; sleep 1.5'], { spec: { work_quota_bytes: 10 * MiB } });
  t.is(end.ended_by, 'agent');
  t.is(end.code, 0);
});

test.serial('a share of the processors is held, or the jail refused where nothing can hold it', async (t) => {
  const groups = readHierarchies();
  const script = `
import time
started = time.monotonic(); used = time.process_time()
while time.monotonic() - started < 1: pass
print(int((time.process_time() - used) * 100))`;
  const running = runInJail(t, python(script), { spec: { cpu: 0.25 } });
  if (process.getuid?.() !== 0 || (groups.v1.get('cpu') === undefined && groups.v2 === undefined)) {
    await t.throwsAsync(running, { code: 'jail_unavailable' });
    return;
  }
  const percent = Number((await running).stdout);
  t.true(percent <= 45, `${percent} % of a processor`);
});

test.serial('a flood of output waits for its reader and fills nothing', async (t) => {
  const { jail } = await startTestJail(t, ['sh', '-c', 'yes flood'], { collect: false });
  const before = process.memoryUsage().rss;
  let bytes = 0;
  for await (const chunk of jail.stdout) {
    bytes += (chunk as Buffer).length;
    if (bytes > 64 * MiB) break;
  }
  t.true(process.memoryUsage().rss - before < 100 * MiB);
  const end = await jail.kill();
  t.is(end.ended_by, 'kill');
});
