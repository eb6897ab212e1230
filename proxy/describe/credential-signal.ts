/** Fields and query keys that carry keys: of HTTP itself, and of the providers that agents speak to. */
const fields: ReadonlySet<string> = new Set([
  'authorization', 'cookie', 'x-api-key', 'api-key', 'x-goog-api-key', 'x-auth-token', 'x-access-token', 'private-token', 'x-amz-security-token',
  'x-github-token', 'x-gitlab-token', 'x-functions-key', 'ocp-apim-subscription-key',
]);
const lengths: ReadonlySet<number> = new Set([...fields].map((name) => name.length));
const keys: ReadonlySet<string> = new Set([
  'key', 'api_key', 'apikey', 'api-key', 'access_token', 'token', 'auth', 'sig', 'signature', 'x-amz-signature', 'x-goog-signature', 'password',
]);

/** Whether a request carries a key. Nothing of ours is ever put there yet, so any is foreign. */
export function credentialOf(headers: readonly string[], queryKeys: readonly string[]): 'none' | 'foreign' {
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!;
    if (lengths.has(name.length) && fields.has(name.toLowerCase())) return 'foreign';
  }
  return queryKeys.some((key) => keys.has(key.toLowerCase())) ? 'foreign' : 'none';
}
