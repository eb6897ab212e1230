import { sha256 } from './digest.ts';

/**
 * The append-only Merkle tree of RFC 9162, section 2.1, with SHA-256. All hashes are 32 bytes; sizes and indices are integers up
 * to 2^53 - 1, so halving is done by division, not by bit operations.
 */
export type Hash = Uint8Array;

export const hashLength = 32;

/** MTH of the empty list (2.1.1). */
export const emptyRoot: Hash = sha256('');

/** SHA-256(0x00 || data); text as UTF-8, of which U+0000 is the byte 0. */
export function leafHash(data: string | Uint8Array): Hash {
  if (typeof data === 'string') return sha256(`\0${data}`);
  const bytes = new Uint8Array(1 + data.length);
  bytes.set(data, 1);
  return sha256(bytes);
}

/** SHA-256(0x01 || left || right). */
export function nodeHash(left: Hash, right: Hash): Hash {
  const bytes = new Uint8Array(1 + 2 * hashLength);
  bytes[0] = 1;
  bytes.set(left, 1);
  bytes.set(right, 1 + hashLength);
  return sha256(bytes);
}

export function sameHash(a: Hash, b: Hash): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/**
 * What has to be kept of a tree to append to it: the roots of its complete subtrees, largest (leftmost) first. Their sizes are
 * the powers of two of `size`, so there are as many hashes as `size` has one-bits.
 */
export interface Frontier {
  readonly size: number;
  readonly hashes: readonly Hash[];
}

export const emptyFrontier: Frontier = { size: 0, hashes: [] };

function ones(size: number): number {
  let count = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2;
  return count;
}

/** A frontier that was stored; throws a TypeError when the hashes cannot be those of a tree of that size. */
export function restoreFrontier(size: number, hashes: readonly Hash[]): Frontier {
  if (!Number.isSafeInteger(size) || size < 0) throw new TypeError(`${size} is not the size of a tree`);
  if (hashes.length !== ones(size) || hashes.some((hash) => hash.length !== hashLength)) {
    throw new TypeError(`the frontier of a tree of ${size} has ${ones(size)} hashes of ${hashLength} bytes`);
  }
  return { size, hashes: [...hashes] };
}

export function append(frontier: Frontier, leaf: Hash): Frontier {
  const hashes = [...frontier.hashes];
  let right = leaf;
  for (let rest = frontier.size; rest % 2 === 1; rest = Math.floor(rest / 2)) right = nodeHash(hashes.pop()!, right);
  hashes.push(right);
  return { size: frontier.size + 1, hashes };
}

export function rootOf(frontier: Frontier): Hash {
  return frontier.hashes.length === 0 ? emptyRoot : frontier.hashes.reduceRight((right, left) => nodeHash(left, right));
}

/** The root of leaves `start` (included) to `end` (excluded), MTH(D[start:end]). */
export type RangeHash = (start: number, end: number) => Hash;

/** The largest power of two smaller than `size`. */
function split(size: number): number {
  let half = 1;
  while (half * 2 < size) half *= 2;
  return half;
}

/** Reads ranges from the hashes of all leaves; linear in the range. */
export function rangeOfLeaves(leaves: readonly Hash[]): RangeHash {
  return (start, end) => rootOf(leaves.slice(start, end).reduce(append, emptyFrontier));
}

/** PATH(index, D[size]) (2.1.3.1): hashes from the leaf's sibling up to the root. */
export function inclusionProof(index: number, size: number, range: RangeHash): readonly Hash[] {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) throw new TypeError(`a tree of ${size} has no leaf ${index}`);
  const proof: Hash[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + split(end - start);
    if (index < middle) {
      proof.push(range(middle, end));
      end = middle;
    } else {
      proof.push(range(start, middle));
      start = middle;
    }
  }
  return proof.toReversed();
}

/** 2.1.3.2 */
export function verifyInclusion(leaf: Hash, index: number, size: number, proof: readonly Hash[], root: Hash): boolean {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false;
  let [first, last, hash] = [index, size - 1, leaf];
  for (const sibling of proof) {
    if (last === 0 || sibling.length !== hashLength) return false;
    if (first % 2 === 1 || first === last) {
      hash = nodeHash(sibling, hash);
      while (first % 2 === 0 && first !== 0) [first, last] = [first / 2, Math.floor(last / 2)];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [first, last] = [Math.floor(first / 2), Math.floor(last / 2)];
  }
  return last === 0 && sameHash(hash, root);
}

/** PROOF(first, D[second]) (2.1.4.1): that a tree of `first` leaves is the beginning of the one of `second`. */
export function consistencyProof(first: number, second: number, range: RangeHash): readonly Hash[] {
  if (!Number.isSafeInteger(first) || first < 1 || first > second) throw new TypeError(`no proof from size ${first} to ${second}`);
  const proof: Hash[] = [];
  let start = 0;
  let end = second;
  while (end !== first) {
    const middle = start + split(end - start);
    if (first <= middle) {
      proof.push(range(middle, end));
      end = middle;
    } else {
      proof.push(range(start, middle));
      start = middle;
    }
  }
  // Only a left-most complete subtree is known to the verifier already: it is the first root itself.
  if (start > 0) proof.push(range(start, end));
  return proof.toReversed();
}

/** 2.1.4.2; a tree of 0 leaves is the beginning of every tree, and equal sizes need equal roots and no proof. */
export function verifyConsistency(first: number, second: number, firstRoot: Hash, secondRoot: Hash, proof: readonly Hash[]): boolean {
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(second) || first < 0 || first > second) return false;
  if (first === 0) return proof.length === 0 && sameHash(firstRoot, emptyRoot);
  if (first === second) return proof.length === 0 && sameHash(firstRoot, secondRoot);
  if (proof.some((hash) => hash.length !== hashLength)) return false;
  const path = ones(first) === 1 ? [firstRoot, ...proof] : [...proof];
  const seed = path.shift();
  if (seed === undefined) return false;
  let [node, last] = [first - 1, second - 1];
  while (node % 2 === 1) [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  let [old, now] = [seed, seed];
  for (const hash of path) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      old = nodeHash(hash, old);
      now = nodeHash(hash, now);
      while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)];
    } else {
      now = nodeHash(now, hash);
    }
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  return last === 0 && sameHash(old, firstRoot) && sameHash(now, secondRoot);
}
