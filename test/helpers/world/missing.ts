import type { ProgramsName } from '../../clients/programs.ts';

/** What tests may need of the machine. `undefined` is there; otherwise why it isn't. */
export interface Missing {
  /** Network and mount namespaces: the addresses, the DNS server. */
  readonly world?: string | undefined;
  readonly ipv6?: string | undefined;
  readonly jail?: string | undefined;
  readonly postgres?: string | undefined;
}

/** A `program` is a command that a jail sees as well. `root` and `no root` are who runs the tests; `programs` are those that bin/setup builds for the tests of clients. */
export type Need = keyof Missing | `command ${string}` | `program ${string}` | `file ${string}` | `programs ${ProgramsName}` | 'root' | 'no root';

export const missingVariable = 'TEST_WORLD_LACKS';
/** A file to which each test that did not run is added: one `NotRun` a line. */
export const notRunVariable = 'TEST_WORLD_NOT_RUN';

export interface NotRun {
  readonly file: string;
  readonly title: string;
  readonly reason: string;
}
