import test from 'ava';
import { bubblewrapArguments } from '../../../sandbox/launch/bubblewrap-arguments.ts';
import { allDefences } from '../../../sandbox/launch/defences.ts';

const input = {
  spec: { tmp_bytes: 1, home_bytes: 2 }, defences: allDefences,
  systemFolders: [{ path: '/bin', kind: 'link', target: 'usr/bin' }, { path: '/lib', kind: 'folder' }] as const,
  settings: ['/etc/ld.so.cache'],
  files: [{ path: '/etc/passwd', descriptor: 6, over: false }, { path: '/etc/ssl/certs/ca-certificates.crt', descriptor: 7, over: true }],
  links: [{ path: '/etc/ssl/cert.pem', target: '/etc/sallyport/trusted.pem' }],
  node: '/n/node', work: '/somewhere/work', filterDescriptor: 5, channelDescriptor: 3,
};
const options = bubblewrapArguments(input);
/** Each option with its words. */
const steps = options.join('\0').split(/\0(?=--)/).map((step) => step.split('\0'));

test('the work folder is the last thing bound, and nothing is put inside it', (t) => {
  const binds = steps.filter(([name]) => /^--(?:ro-)?bind|^--(?:file|tmpfs|dir|symlink|proc|dev)$/.test(name ?? ''));
  t.deepEqual(binds.at(-1), ['--bind', '/somewhere/work', '/work']);
  t.is(steps.filter((step) => step.at(-1)?.startsWith('/work')).length, 2, 'the bind and --chdir');
  t.is(steps.filter(([name]) => name === '--bind').length, 1, 'one writable bind');
});

test('every namespace is asked for by name, the tmpfs have their sizes, and the roots end read-only', (t) => {
  for (const name of ['--unshare-user', '--unshare-pid', '--unshare-net', '--unshare-ipc', '--unshare-uts', '--disable-userns', '--die-with-parent', '--new-session', '--clearenv']) t.true(options.includes(name), name);
  t.false(options.includes('--unshare-all'));
  for (const [index, step] of steps.entries()) if (step[0] === '--tmpfs') t.is(steps[index - 1]?.[0], '--size', step[1]);
  t.deepEqual(steps.filter(([name]) => name === '--remount-ro').map(([, path]) => path), ['/', '/dev']);
  t.deepEqual(steps.at(-1), ['--seccomp', '5']);
});

test('merged folders become links, others are bound', (t) => {
  t.true(steps.some((step) => step.join(' ') === '--symlink usr/bin /bin'));
  t.true(steps.some((step) => step.join(' ') === '--ro-bind /lib /lib'));
});

test('a given file is made in a folder of our own, or mounted read-only over the one of the host, after the folder that has it', (t) => {
  const at = (words: string): number => steps.findIndex((step) => step.join(' ') === words);
  t.true(at('--file 6 /etc/passwd') > 0);
  t.true(at('--ro-bind-data 7 /etc/ssl/certs/ca-certificates.crt') > at('--ro-bind-try /etc/ld.so.cache /etc/ld.so.cache'));
  for (const [index, [name]] of steps.entries()) if (name === '--file' || name === '--ro-bind-data') t.deepEqual(steps[index - 1], ['--perms', '0444']);
  t.true(at('--symlink /etc/sallyport/trusted.pem /etc/ssl/cert.pem') > 0);
});
