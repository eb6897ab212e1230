/** `sallyport doctor`, as an operator reads it. What it says of jails stands in test/sandbox/doctor.test.ts. */
import test from 'ava';
import { chmodSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Lifetime } from '../../helpers/lifetime.ts';
import { startSallyport } from '../../helpers/process.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

interface Check { readonly name: string; readonly status: string; readonly found: string; readonly next: readonly string[] }

async function said(lifetime: Lifetime, data: string, argv: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<string> {
  const { exit, stdout } = startSallyport(lifetime, argv, { env: { PATH: process.env['PATH'], HOME: process.env['HOME'], SALLYPORT_DATA: data, ...more } });
  await exit(60_000);
  return stdout();
}

async function checkOf(name: string, ...args: Parameters<typeof said>): Promise<Check | undefined> {
  return (JSON.parse(await said(...args)) as { readonly checks: readonly Check[] }).checks.find((one) => one.name === name);
}

const doctor = ['doctor', '--json'] as const;

test('the authority is told: none yet, who signs, and what is wrong with its folder', async (t) => {
  const data = join(await temporaryFolder(t), 'd');
  t.like(await checkOf('authority', t, data, doctor), { status: 'ok', found: 'There is none yet; sallyport up or the first run makes it.' });
  await said(t, data, ['ca', 'export']);
  const { found, status } = (await checkOf('authority', t, data, doctor))!;
  t.is(status, 'ok');
  t.regex(found, /^Sallyport CA [0-9a-f]{16} vouches/);
  const [file = ''] = readdirSync(join(data, 'ca'));
  chmodSync(join(data, 'ca', file), 0o644);
  const wrong = (await checkOf('authority', t, data, doctor))!;
  t.is(wrong.status, 'missing');
  t.true(wrong.found.includes(file), wrong.found);
  t.true(wrong.next.length > 0);
});

test('a system that trusts nobody is told, with the two ways out', async (t) => {
  const data = join(await temporaryFolder(t), 'd');
  const nothing = { SSL_CERT_FILE: join(data, 'none.pem'), SSL_CERT_DIR: join(data, 'none') };
  t.like(await checkOf('roots', t, data, doctor, nothing), { status: 'limited', next: ['Install the package ca-certificates, or give sallyport up some by --upstream-ca FILE.'] });
});
