/** Ways to the host's files, processes and secrets. */
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { python, probe, runInJail, startTestJail } from '../../helpers/jail.ts';
import { needs } from '../../helpers/needs.ts';
import { startProcess } from '../../helpers/process.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { event } from '../../helpers/wait.ts';

const test = needs('jail', 'command python3');

test.serial("secrets in a home folder, and everything else of the host's, are not there", async (t) => {
  const home = await temporaryFolder(t, 0o755);
  const secret = 'canary-b1946ac92492d2347c6235b4d2611184';
  for (const name of ['.ssh/id_ed25519', '.npmrc', '.aws/credentials', '.netrc', '.gitconfig']) {
    await mkdir(join(home, name, '..'), { recursive: true });
    await writeFile(join(home, name), secret, { mode: 0o644 });
  }
  const { stdout, code } = await runInJail(t, ['sh', '-c', `grep -rslF ${secret} / --exclude-dir=usr --exclude-dir=proc; ls -A /home/agent /tmp; for f in ${home} /root /etc/shadow /etc/machine-id /etc/hostname /run /var /sys /boot /mnt /srv; do test -e $f && echo $f; done; exit 0`]);
  t.is(code, 0);
  t.is(stdout, '/home/agent:\n\n/tmp:\n');
});

test.serial("nothing of the launcher's environment or of bwrap's arguments can be read inside", async (t) => {
  const work = await temporaryFolder(t, 0o755);
  const variable = 'SALLYPORT_TEST_CANARY';
  process.env[variable] = 'canary-in-the-environment';
  t.teardown(() => { Reflect.deleteProperty(process.env, variable); });
  const { stdout } = await runInJail(t, ['sh', '-c', 'cat /proc/*/environ /proc/*/cmdline | tr "\\0" "\\n"'], { spec: { work, env: { AGENT_TOKEN: 'only-for-the-agent' } } });
  t.false(stdout.includes('canary'));
  t.false(stdout.includes(work), 'the path of the work folder on the host');
  const first = await runInJail(t, ['sh', '-c', 'tr "\\0" "\\n" < /proc/1/cmdline; tr "\\0" "\\n" < /proc/1/environ'], { spec: { work, env: { AGENT_TOKEN: 'only-for-the-agent' } } });
  t.false(first.stdout.includes('only-for-the-agent'));
  const lines = first.stdout.trim().split('\n');
  t.deepEqual(lines.slice(1, 7), ['--args', '4', '--', '/opt/sallyport/node', '--no-warnings', '/opt/sallyport/boot.cjs']);
  for (const line of lines.slice(7)) t.regex(line, /^(?:NODE_CHANNEL_FD|NODE_CHANNEL_SERIALIZATION_MODE|PWD)=/);
});

test.serial('no process of the host is seen or can be signalled', async (t) => {
  const answer = await probe(t, `
print(sorted(int(name) for name in os.listdir('/proc') if name.isdigit()) == [1, os.getpid()])
print(attempt(lambda: os.kill(${process.pid}, 0)))`);
  t.is(answer, 'True\nESRCH');
});

test.serial('no descriptor is inherited but the three streams, whatever the launcher had open', async (t) => {
  // Without O_CLOEXEC, as a parent of ours may have left it: a shell gives it to a launcher of its own.
  const launcher = startProcess(t, 'sh', ['-c', 'exec 9</; exec "$@"', 'sh', process.execPath, '--disable-warning=ExperimentalWarning', fileURLToPath(new URL('./leaky-launcher.ts', import.meta.url)), await temporaryFolder(t, 0o755)]);
  const { code } = await launcher.exit();
  t.is(code, 0, launcher.stderr());
  const [self = '', first = ''] = launcher.stdout().trim().split('\n');
  // 3 is the folder that lists them.
  t.is(self, '0 1 2 3');
  t.deepEqual(first.split(' ').filter((entry) => !/^(?:0|1|2|\d+:anon_inode:\[eventfd\])$/.test(entry)), []);
});

test.serial('the streams are pipes: reopening them works, and reaches no file of the host', async (t) => {
  const { stdout, stderr } = await runInJail(t, ['sh', '-c', 'echo one > /dev/stdout; echo two > /dev/stderr; cat < /dev/stdin; stat -L -c %F /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2'], { stdin: 'three\n' });
  t.is(stdout, 'one\nthree\nfifo\nfifo\nfifo\n');
  t.is(stderr, 'two\n');
});

test.serial('everything but the work folder, home and /tmp is read-only', async (t) => {
  const script = `
for place in ('/', '/usr', '/usr/bin', '/etc', '/dev', '/opt', '/opt/sallyport', '/home', '/proc', '/etc/passwd', '/opt/sallyport/boot.cjs'):
    try:
        os.open(place if os.path.isfile(place) else place.rstrip('/') + '/new', os.O_WRONLY | os.O_CREAT)
        print(place, 'ok')
    except OSError as problem:
        if problem.errno not in (errno.EROFS, errno.EACCES, errno.ENOENT): print(place, problem)
for place in ('/work', '/home/agent', '/tmp', '/dev/shm'):
    open(place + '/new', 'w').write('x')`;
  t.is(await probe(t, script), '');
  t.regex(await probe(t, script, { without: { root_file_system: 'writable' } }), /^\/ ok$/m);
});

test.serial('what runs in the jail cannot be overwritten: bwrap, Node, the programs of the system', async (t) => {
  const script = "print(*[attempt(lambda: os.open(path, os.O_WRONLY)) for path in ('/proc/1/exe', '/proc/self/exe', '/opt/sallyport/node', '/usr/bin/env')])";
  const errors = (await probe(t, script)).split(' ');
  t.is(errors.length, 4);
  for (const error of errors) t.regex(error, /^(?:EACCES|EROFS|ETXTBSY|EPERM)$/);
});

test.serial('a socket in the work folder is warned of, and cannot be reached once Unix sockets are denied', async (t) => {
  const work = await temporaryFolder(t, 0o755);
  const server = createServer((socket) => socket.end());
  t.teardown(() => server.close());
  server.listen({ path: join(work, 's'), writableAll: true, readableAll: true });
  await event('a socket in the work folder', server, 'listening');
  const script = "print(attempt(lambda: dial(socket.AF_UNIX, '/work/s')))";
  t.is(await probe(t, script, { spec: { work, unix_sockets: 'deny' } }), 'EAFNOSUPPORT');
  const { jail, stdout } = await startTestJail(t, python(script), { spec: { work } });
  t.is((await stdout).trim(), 'ok', 'this is what the warning is about');
  t.true(jail.facts.warnings.some((warning) => warning.includes('sockets') && warning.includes(': s.')));
});

test.serial('the /etc of the jail names nobody of the host', async (t) => {
  const { stdout } = await runInJail(t, ['sh', '-c', 'cat /etc/passwd /etc/group /etc/hosts /etc/resolv.conf; hostname']);
  t.regex(stdout, /^agent:x:\d+:\d+:agent:\/home\/agent:\/bin\/sh\n/);
  t.true(stdout.endsWith('::1 localhost\njail\n'));
  t.is(stdout.split('\n').filter((line) => line.includes(':x:')).length, 4);
});

test.serial('the work folder is the very one that was named', async (t) => {
  const work = await temporaryFolder(t, 0o755);
  writeFileSync(join(work, 'from-the-host'), 'hello\n');
  const held = openSync(work, 'r');
  t.teardown(() => closeSync(held));
  const { stdout } = await runInJail(t, ['sh', '-c', 'cat from-the-host; echo back > from-the-agent; pwd'], { spec: { work } });
  t.is(stdout, 'hello\n/work\n');
  t.is(readFileSync(join(work, 'from-the-agent'), 'utf8'), 'back\n');
});
