import { readFileSync } from 'node:fs';
import { browserPolicies, browserPolicy } from './browser-policy.ts';
import { certificatesOf } from './certificates.ts';
import { javaKeystore } from './java-keystore.ts';
import { trustPlaces } from './places.ts';
import { ownAuthorities, trustedBundle, trustedKeystore } from './variables.ts';

export interface TrustFile {
  readonly path: string;
  /** Made when it is asked for: bwrap starts meanwhile. */
  content(): Buffer | string;
  /** The host has one there, in a folder that is bound read-only: ours is mounted over it. */
  readonly over: boolean;
}

export interface TrustFiles {
  readonly files: readonly TrustFile[];
  readonly links: readonly { readonly path: string; readonly target: string }[];
}

/**
 * What makes programs in the jail trust `ca` (PEM) beside the public authorities that the host trusts, which a tunnel that nobody
 * looks into still needs. `settings` are the host's files and folders that the jail sees.
 */
export function trustFiles(ca: string, settings: readonly string[]): TrustFiles {
  const { publicBundle, covered, free } = trustPlaces(settings);
  const bundle = once(() => Buffer.from(`${publicBundle === undefined ? '' : readFileSync(publicBundle, 'utf8')}\n${ca}\n`));
  const keystore = once(() => javaKeystore(certificatesOf(bundle().toString('latin1'))));
  const policy = once(() => browserPolicy(certificatesOf(ca)));
  // What is large is sent once, and found from elsewhere by a link.
  const [systemBundle = trustedBundle, ...moreBundles] = covered.bundles;
  const [systemKeystore = trustedKeystore, ...moreKeystores] = covered.keystores;
  const isCovered = (path: string): boolean => path !== trustedBundle && path !== trustedKeystore;
  return {
    files: [
      { path: ownAuthorities, content: () => ca, over: false },
      ...browserPolicies.map((path) => ({ path, content: policy, over: false })),
      ...[systemBundle, ...moreBundles].map((path) => ({ path, content: bundle, over: isCovered(path) })),
      ...[systemKeystore, ...moreKeystores].map((path) => ({ path, content: keystore, over: isCovered(path) })),
    ],
    links: [
      ...[[trustedBundle, systemBundle], [trustedKeystore, systemKeystore]].flatMap(([path = '', target = '']) => (path === target ? [] : [{ path, target }])),
      ...free.map((path) => ({ path, target: trustedBundle })),
    ],
  };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
