import type { Problem } from '../../contracts/errors.ts';

/** Where a child listens, by its own names: `api_socket`, `api`, `listen`. */
export type Addresses = Readonly<Record<string, unknown>>;

/** First message from the supervisor to a child: secrets travel here, never by argument or environment. */
export interface ConfigurationMessage {
  readonly type: 'configuration';
  readonly configuration: unknown;
}

/** What a child says once, about its start. */
export type ChildMessage =
  | { readonly type: 'ready'; readonly addresses: Addresses; readonly notices?: readonly string[] }
  | { readonly type: 'failed'; readonly problem: Problem };

/** All that was told when both children were ready. */
export interface ReadyReport {
  readonly addresses: Addresses;
  readonly notices: readonly string[];
}

/** Lines of the supervisor's own socket (`up.sock`), JSON each. The greeting comes first, then one of the others as it happens. */
export type LinkMessage =
  | { readonly type: 'hello'; readonly pid: number }
  | { readonly type: 'ready'; readonly addresses: Addresses }
  | { readonly type: 'failed'; readonly problem: Problem }
  | { readonly type: 'stopping' };

/** What a detached `up` tells the process that started it, by IPC. */
export type StartMessage = { readonly type: 'ready' } | { readonly type: 'failed'; readonly problem: Problem };
