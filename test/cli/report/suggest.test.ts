import test from 'ava';
import { execFileSync } from 'node:child_process';
import { exchangesOf } from '../../../cli/report/egress.ts';
import { flagFor } from '../../../cli/report/suggest.ts';
import type { RunAction } from '../../../contracts/run-api.ts';
import { runPolicySchema } from '../../../contracts/run-policy.ts';

const policy = runPolicySchema.parse({ allow: [{ id: 'a', host: 'site.example', ports: [80], methods: ['GET'], path_prefix: '/api' }] });

function flagOf(path: string): string {
  const payload = { act: 'request', method: 'GET', host: 'site.example', port: 80, path, default: true };
  const action = { event: { event_id: 'e', type: 'egress.denied', at: 1, facts: { code: 'policy_denied', effect: 'deny' }, payload }, completion: null } as unknown as RunAction;
  return flagFor(exchangesOf([action])[0]!, policy)!;
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
