import type { Command } from 'commander';
import { viewAuthorities, type AuthorityView } from '../../proxy/intercept/authority/authorities.ts';
import { dataFolderOf, dataOption, example, jsonOption, printJson, printLines, type TargetOptions } from '../command.ts';
import type { Environment } from '../config.ts';
import { inspectDataFolder } from '../up/data-folder.ts';

export function define(command: Command, environment: Environment): void {
  dataOption(jsonOption(command)).action((options: TargetOptions) => {
    const folder = dataFolderOf(options, environment);
    const all = inspectDataFolder(folder) ? viewAuthorities(folder, Date.now()) : [];
    if (options.json === true) printJson({ authorities: all.map((one) => authorityRow(one)) });
    else if (all.length === 0) printLines(['There is no authority yet. sallyport up, the first run or sallyport ca export makes it.']);
    else printLines(all.flatMap((one) => authorityLines(one)));
  });
  example(command, 'sallyport ca show');
}

/** As JSON: times as api.md has them, in milliseconds since 1970. */
export function authorityRow({ id, role, signs_from, not_before, not_after, trusted_until, fingerprint }: AuthorityView): Readonly<Record<string, string | number | null>> {
  return { id, role: role.replace(' ', '_'), signs_from, trusted_until: trusted_until ?? null, not_before, not_after, sha256: fingerprint };
}

export function authorityLines({ id, role, signs_from, not_after, trusted_until, fingerprint }: AuthorityView): readonly string[] {
  const since = role === 'has signed' ? '' : ` ${role === 'signs' ? 'since' : 'from'} ${iso(signs_from)}`;
  return [
    `Sallyport CA ${id}: ${role}${since}`,
    `  SHA-256        ${fingerprint}`,
    `  valid until    ${iso(not_after)}`,
    `  trusted until  ${trusted_until === undefined ? 'another has taken its place' : iso(trusted_until)}`,
  ];
}

const iso = (milliseconds: number): string => new Date(milliseconds).toISOString();
