/** What a `Proxy-Authorization` field says. */
export type Credentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'malformed' }
  /** `run_id` is undefined for Bearer, where the token alone names the run. */
  | { readonly kind: 'token'; readonly run_id: string | undefined; readonly token: string };

/** Longer ones can't be ours: a run id has 40 characters, a token some 60. */
const longest = 512;
const basicPattern = /^basic +([A-Za-z0-9+/]+={0,2})$/i;
const bearerPattern = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i;

/** The `Proxy-Authorization` of fields in the form `[name, value, ...]`; `twice` when there are two, of which neither counts. */
export function credentialsField(headers: readonly string[]): string | undefined | { readonly twice: true } {
  let value: string | undefined;
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!;
    if (name.length !== 19 || name.toLowerCase() !== 'proxy-authorization') continue;
    if (value !== undefined) return { twice: true };
    value = headers[index + 1]!;
  }
  return value;
}

/** RFC 7617 (Basic: run id and token) and RFC 6750 (Bearer: token). */
export function parseCredentials(value: ReturnType<typeof credentialsField>): Credentials {
  if (value === undefined) return { kind: 'none' };
  if (typeof value !== 'string' || value.length > longest) return { kind: 'malformed' };
  const bearer = bearerPattern.exec(value)?.[1];
  if (bearer !== undefined) return { kind: 'token', run_id: undefined, token: bearer };
  const basic = basicPattern.exec(value)?.[1];
  if (basic === undefined) return { kind: 'malformed' };
  const text = Buffer.from(basic, 'base64').toString('latin1');
  const colon = text.indexOf(':');
  if (colon < 1 || colon === text.length - 1) return { kind: 'malformed' };
  return { kind: 'token', run_id: text.slice(0, colon), token: text.slice(colon + 1) };
}

const tokenPattern = /^sp_ag_(\d{1,15})_/;

/** The epoch that a token says it is of. */
export function epochOf(token: string): number | undefined {
  const digits = tokenPattern.exec(token)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
