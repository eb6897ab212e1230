import { realpathSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Where systems keep the public authorities as one file: Debian, Alpine and Arch; Fedora, newer and older; SUSE; OpenSSL's own default. */
const bundles = [
  '/etc/ssl/certs/ca-certificates.crt', '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem', '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem', '/etc/ssl/cert.pem', '/etc/pki/tls/cert.pem',
] as const;

/** The same as Java's keystore: Debian, Fedora. */
const keystores = ['/etc/ssl/certs/java/cacerts', '/etc/pki/ca-trust/extracted/java/cacerts'] as const;

/** Where a path really leads; undefined where nothing is. */
export type Resolve = (path: string) => string | undefined;

const resolveOnHost: Resolve = (path) => {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
};

export interface TrustPlaces {
  /** The host's own bundle of public authorities; undefined where it has none. */
  readonly publicBundle: string | undefined;
  /** Files in folders of the host's that the jail sees: each has to be covered by ours. Paths as in the jail. */
  readonly covered: { readonly bundles: readonly string[]; readonly keystores: readonly string[] };
  /** Places in folders of our own, where a link to our bundle can be. */
  readonly free: readonly string[];
}

/** Where programs look for authorities in a jail that sees these folders and files (`settings`) of the host's. */
export function trustPlaces(settings: readonly string[], resolve: Resolve = resolveOnHost): TrustPlaces {
  const seen = settings.flatMap((path) => {
    const real = resolve(path);
    return real === undefined ? [] : [{ path, real }];
  });
  const isSeen = (place: string): boolean => seen.some(({ path }) => place.startsWith(`${path}/`));
  // One file may be seen twice, as a system's /etc/ssl/certs may be a link to another folder that is bound as well.
  const coveredBy = (place: string): readonly string[] => {
    const real = isSeen(place) ? resolve(place) : undefined;
    return real === undefined ? [] : seen.flatMap((folder) => (real.startsWith(`${folder.real}/`) ? [join(folder.path, relative(folder.real, real))] : []));
  };
  return {
    publicBundle: bundles.find((place) => resolve(place) !== undefined),
    covered: { bundles: unique(bundles.flatMap(coveredBy)), keystores: unique(keystores.flatMap(coveredBy)) },
    free: bundles.filter((place) => !isSeen(place)),
  };
}

function unique(paths: readonly string[]): readonly string[] {
  return [...new Set(paths)];
}
