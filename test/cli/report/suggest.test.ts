import test from 'ava';
import { execFileSync } from 'node:child_process';
import { exchangesOf } from '../../../cli/report/egress.ts';
import { flagFor } from '../../../cli/report/suggest.ts';
import type { RunAction } from '../../../contracts/run-api.ts';
import { runPolicySchema } from '../../../contracts/run-policy.ts';

const policy = runPolicySchema.parse({ allow: [{ id: 'a', host: 'site.example', ports: [80], methods: ['GET'], path_prefix: '/api' }] });

function flagOf(path: string): string {
  return suggested('policy_denied', { path, default: true })!;
}

function suggested(code: string, denied: Readonly<Record<string, unknown>>, intercept: boolean = false): string | undefined {
  const payload = { act: 'request', method: 'GET', host: 'site.example', port: 80, ...denied };
  const action = { event: { event_id: 'e', type: 'egress.denied', at: 1, facts: { code, effect: 'deny' }, payload }, completion: null } as unknown as RunAction;
  return flagFor(exchangesOf([action])[0]!, { ...policy, intercept });
}

for (const path of ['/x;touch${IFS}pwned', '/$(touch${IFS}pwned)', '/`touch${IFS}pwned`', "/'|touch${IFS}pwned|'", '/&touch&', '/a"b', '/*', '/a!b', '/(x)', '/<x>']) {
  test(`a flag that is suggested for ${path} is one word to a shell that it is pasted into`, (t) => {
    const words = execFileSync('sh', ['-c', `printf '%s\\n' ${flagOf(path)}`], { encoding: 'utf8', cwd: '/proc' });
    t.is(words, `--allow\nsite.example:80:GET:${path}\n`);
  });
}

test('an ordinary path is suggested as it is', (t) => {
  t.is(flagOf('/secret/a-b_c.d~e%20f'), '--allow site.example:80:GET:/secret/a-b_c.d~e%20f');
});

const ofCore: readonly (readonly [what: string, code: string, denied: Readonly<Record<string, unknown>>, flag: string | undefined])[] = [
  ['an address that a name led to', 'core.non_public_address', { address: '10.1.2.3' }, '--allow-address 10.1.2.3'],
  ['an address that was asked for itself', 'core.non_public_address', { host: '10.1.2.3' }, '--allow-address 10.1.2.3'],
  ['a host that an upstream proxy would resolve', 'core.delegated_address', {}, '--allow site.example:80:GET'],
  ['a tunnel to one', 'core.delegated_address', { act: 'connect', method: 'CONNECT', port: 443 }, '--intercept --allow site.example:443, or --allow site.example:443:TUNNEL'],
  ['what serves credentials', 'core.metadata_address', { host: '169.254.169.254' }, undefined],
];
for (const [what, code, denied, flag] of ofCore) {
  test(`what would allow ${what} is ${flag ?? 'nothing'}`, (t) => { t.is(suggested(code, denied), flag); });
}

const tunnels: readonly (readonly [code: string, port: number, byDefault: boolean, intercept: boolean, flag: string])[] = [
  ['policy_denied', 443, true, true, '--allow site.example:443'],
  ['policy_denied', 443, true, false, '--intercept --allow site.example:443, or --allow site.example:443:TUNNEL'],
  ['policy_denied', 8080, true, false, '--allow site.example:8080'],
  ['interception_failed', 443, false, true, '--allow site.example:443:TUNNEL, if the client cannot be made to trust sallyport ca export'],
  ['needs_interception', 443, false, false, '--intercept, or --allow site.example:443:TUNNEL'],
];
for (const [code, port, byDefault, intercept, flag] of tunnels) {
  test(`a tunnel to port ${port} that was refused with ${code} in a run that ${intercept ? 'looks' : 'does not look'} into TLS: ${flag}`, (t) => {
    t.is(suggested(code, { act: 'connect', method: 'CONNECT', port, path: null, default: byDefault }, intercept), flag);
  });
}

test('where some paths of a host are allowed, another method is suggested with its path too', (t) => {
  t.is(suggested('policy_denied', { path: '/api/x', method: 'POST', default: true }), '--allow site.example:80:POST:/api/x');
});

test('a request inside TLS is suggested with its method and port', (t) => {
  t.is(suggested('policy_denied', { scheme: 'https', port: 443, method: 'POST', default: true }, true), '--allow site.example:443:POST');
});
