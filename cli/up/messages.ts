import type { Problem } from '../../contracts/errors.ts';

/** Where a child listens, by its own names: `api_socket`, `api`, `listen`. */
export type Addresses = Readonly<Record<string, unknown>>;

/** First message from the supervisor to a child: secrets travel here, never by argument or environment. */
export interface ConfigurationMessage {
  readonly type: 'configuration';
  readonly configuration: unknown;
}

/** To a worker that is to be replaced: nothing new, and so long for what it has. */
export interface DrainMessage {
  readonly type: 'drain';
  readonly milliseconds: number;
}

/** What a child says about its start: once whether it is ready, and before that perhaps what it waits for. */
export type ChildMessage =
  | { readonly type: 'ready'; readonly addresses: Addresses; readonly notices?: readonly string[] }
  | { readonly type: 'waiting'; readonly problem: Problem }
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
  | { readonly type: 'stopping' }
  /** To who asked for it alone. */
  | { readonly type: 'replaced'; readonly workers: number }
  | { readonly type: 'not_replaced'; readonly problem: Problem };

/** And what is asked there, one line each. */
export type LinkRequest = { readonly type: 'stop' } | { readonly type: 'replace_workers'; readonly drain_ms: number };

/** What a detached `up` tells the process that started it, by IPC. */
export type StartMessage = { readonly type: 'ready' } | { readonly type: 'failed'; readonly problem: Problem };
