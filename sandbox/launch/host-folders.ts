import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import type { SystemFolder } from './bubblewrap-arguments.ts';

const topFolders = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'] as const;

/**
 * What programs need of `/etc`, and nothing that tells of the host or holds a key: of `/etc/ssl` not `private`, which members of
 * a group may read. `/etc/java-*` because Debian's Java keeps its security settings there.
 */
const settings = [
  'ld.so.cache', 'ld.so.conf', 'ld.so.conf.d', 'alternatives', 'ssl/certs', 'ssl/openssl.cnf', 'ca-certificates', 'pki/tls/certs',
  'pki/ca-trust/extracted', 'crypto-policies', 'mime.types', 'localtime', 'terminfo',
] as const;

/** The folders of programs and libraries that this host has beside `/usr`. */
export function findSystemFolders(): readonly SystemFolder[] {
  return topFolders.flatMap((path): SystemFolder[] => {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return [];
    return [stats.isSymbolicLink() ? { path, kind: 'link', target: readlinkSync(path) } : { path, kind: 'folder' }];
  });
}

export function findSettings(): readonly string[] {
  const java = readdirSync('/etc').filter((name) => /^java(?:-|$)/.test(name));
  return [...settings, ...java].map((name) => `/etc/${name}`);
}
