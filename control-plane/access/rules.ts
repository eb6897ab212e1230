import { createHash } from 'node:crypto';

/** Who speaks to the API. */
export type Principal =
  /** `local`: whoever can open the 0600 socket in the 0700 data folder; such a caller may be the launcher of a jailed run. */
  | { readonly kind: 'operator'; readonly id: string; readonly local: boolean }
  | { readonly kind: 'agent'; readonly id: string; readonly run_id: string }
  | { readonly kind: 'proxy'; readonly id: string };

export type PrincipalKind = Principal['kind'];

/** 256 bits, so a plain SHA-256 of a token needs no salt and no stretching. */
const secretBytes = 32;

/** Hex SHA-256 of a token's text: all that is stored of it. */
export function tokenSha256(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

export type Random = (bytes: number) => Buffer;

export function newOperatorKey(random: Random): string {
  return `sp_op_${random(secretBytes).toString('base64url')}`;
}

export function newAgentToken(epoch: number, random: Random): string {
  return `sp_ag_${epoch}_${random(secretBytes).toString('base64url')}`;
}

const secret = '[A-Za-z0-9_-]{16,200}';
const shapes: readonly (readonly [kind: PrincipalKind, shape: RegExp])[] = [
  ['operator', new RegExp(`^sp_op_${secret}$`)],
  ['agent', new RegExp(`^sp_ag_[0-9]{1,15}_${secret}$`)],
  ['proxy', new RegExp(`^sp_px_${secret}$`)],
];

/** The token of `Authorization: Bearer ...` (RFC 6750) and the kind that its prefix claims; `undefined` for anything else. */
export function parseAuthorization(header: string): { readonly kind: PrincipalKind; readonly token: string } | undefined {
  const token = /^bearer +(\S+)$/i.exec(header)?.[1];
  if (token === undefined) return undefined;
  const kind = shapes.find(([, shape]) => shape.test(token))?.[0];
  return kind === undefined ? undefined : { kind, token };
}

/** `run_...;epoch=3`: for which run, and which start of it, a proxy asks. `undefined` for anything else, two fields included. */
export function parseActingRun(header: string): { readonly run_id: string; readonly epoch: number } | undefined {
  const [, run_id, epoch] = /^([\w.-]{1,100});epoch=(0|[1-9][0-9]{0,14})$/.exec(header) ?? [];
  return run_id === undefined ? undefined : { run_id, epoch: Number(epoch) };
}
