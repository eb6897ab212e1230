/**
 * Credentials given to helpers as arguments, and so to every user of the machine by `ps`, and to crash reports and audit logs.
 *
 * Here no process of an installation, nor what it starts for a run, has a token among its arguments; tokens go by pipe, by message or
 * by file of mode 0600.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { startInstallation } from '../helpers/installation.ts';
import { needs } from '../helpers/needs.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

const test = needs('world', 'jail');

/** Every credential of ours: of agents, proxies, keys. */
const token = /sp_[a-z]{2,}_[A-Za-z0-9_]{8,}/;

interface Process { readonly pid: number; readonly parent: number; readonly command: string }

async function processes(): Promise<readonly Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  return await Promise.all(pids.map(async (pid) => {
    const [command = '', status = ''] = await Promise.all(['cmdline', 'status'].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')));
    return { pid: Number(pid), parent: Number(/^PPid:\s*(\d+)/m.exec(status)?.[1] ?? 0), command: command.replaceAll('\0', ' ') };
  }));
}

function below(all: readonly Process[], root: number): readonly Process[] {
  const found = new Set([root]);
  for (let before = 0; before !== found.size;) {
    before = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  return all.filter(({ pid }) => found.has(pid));
}

test('no argument of any process holds a token while a jailed run is under way', async (t) => {
  const installation = await startInstallation(t);
  const work = await temporaryFolder(t, 0o755);
  const run = installation.start(['run', '--allow', 'site.test', '--work', work, '--give-work', '--', 'sh', '-c', 'echo under way; sleep 60']);
  await run.line(/under way/);
  const all = await processes();
  const ours = [...below(all, installation.up.pid), ...below(all, run.pid)];
  t.true(ours.some(({ command }) => command.includes('proxy/main.ts')) && ours.some(({ command }) => command.includes('control-plane/main.ts')) && ours.some(({ command }) => command.includes('bwrap')), JSON.stringify(ours));
  t.deepEqual(ours.filter(({ command }) => token.test(command)), []);
  // Nor may others read what holds one.
  const files = (await readdir(installation.data, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const open = await Promise.all(files.map(async (path) => {
    const { mode, size } = await stat(path).catch(() => ({ mode: 0, size: 0 }));
    return (mode & 0o077) !== 0 && size < 1_000_000 && token.test(await readFile(path, 'latin1').catch(() => '')) ? [path] : [];
  }));
  t.true(files.length > 0);
  t.deepEqual(open.flat(), []);
});

test('the pattern would find one', (t) => {
  t.regex('node agent.mjs --token sp_ag_1_0a1b2c3d4e5f', token);
  t.regex('sp_px_0a1b2c3d4e5f', token);
});
