/** What the commands give to an agent, and take from it. What its clients do is in test/clients/. */
import { startInstallation, type Installation } from '../helpers/installation.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';

const test = needs('world', 'jail');

let installation: Installation;

const file = fileLifetime();
test.before(async () => { installation = await startInstallation(file); });

test.serial('what a run may reach on this machine is not left out of its proxy', async (t) => {
  const direct = async (allow: string): Promise<readonly string[]> => {
    const { code, stdout, stderr } = await installation.command(['runs', 'create', '--allow', allow, '--env']);
    t.is(code, 0, stderr);
    return [...stdout.matchAll(/^export no_proxy='([^']*)'$/gim)].map(([, hosts = '']) => hosts);
  };
  t.deepEqual(await direct('127.0.0.1:8080:GET'), ['localhost,::1', 'localhost,::1']);
  t.deepEqual(await direct('site.test'), ['localhost,127.0.0.1,::1', 'localhost,127.0.0.1,::1']);
});

test.serial('stdin, stdout, stderr and the exit code pass through', async (t) => {
  const { code, stdout, stderr } = await installation.run([], ['sh', '-c', 'echo out; echo err >&2; exit 7']);
  t.is(code, 7);
  t.is(stdout, 'out\n');
  t.true(stderr.startsWith('err\n'));
});
