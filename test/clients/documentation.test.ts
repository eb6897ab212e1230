import test from 'ava';
import { readFileSync } from 'node:fs';
import { allClients } from './tables/all.ts';
import { trustVariables } from './trust.ts';

const page = readFileSync(new URL('../../docs/clients.md', import.meta.url), 'utf8');

test('docs/clients.md has the clients that are tried, and what their tables say of them', (t) => {
  const rows = allClients.map(({ name, documentation: { proxy, trust, refusal } }) => `| ${name} | ${proxy} | ${trust} | ${refusal} |`);
  const shown = page.split('\n').filter((line) => line.startsWith('| '));
  t.deepEqual(shown, ['| client | proxy | trust | a refusal is seen in |', '| --- | --- | --- | --- |', ...rows]);
});

test('docs/clients.md names the variables by which the clients here were told whom to trust', (t) => {
  const missing = Object.keys(trustVariables('FILE')).filter((name) => !page.includes(`\`${name}\``));
  t.deepEqual(missing, []);
});

test('no two clients have one name', (t) => {
  t.is(new Set(allClients.map(({ name }) => name)).size, allClients.length);
});
