import test from 'ava';
import * as fc from 'fast-check';
import {
  append, consistencyProof, emptyFrontier, emptyRoot, inclusionProof, leafHash, nodeHash, rangeOfLeaves, restoreFrontier, rootOf, sameHash,
  verifyConsistency, verifyInclusion, type Hash,
} from '../../contracts/merkle-tree.ts';

const hex = (hash: Hash): string => Buffer.from(hash).toString('hex');

/** MTH of RFC 9162, section 2.1.1, as it stands there. */
function naiveRoot(leaves: readonly Hash[]): Hash {
  if (leaves.length === 0) return emptyRoot;
  if (leaves.length === 1) return leaves[0]!;
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return nodeHash(naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)));
}

/** PATH of section 2.1.3.1. */
function naivePath(index: number, leaves: readonly Hash[]): readonly Hash[] {
  if (leaves.length <= 1) return [];
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return index < k
    ? [...naivePath(index, leaves.slice(0, k)), naiveRoot(leaves.slice(k))]
    : [...naivePath(index - k, leaves.slice(k)), naiveRoot(leaves.slice(0, k))];
}

/** SUBPROOF of section 2.1.4.1. */
function naiveProof(first: number, leaves: readonly Hash[], complete = true): readonly Hash[] {
  if (first === leaves.length) return complete ? [] : [naiveRoot(leaves)];
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return first <= k
    ? [...naiveProof(first, leaves.slice(0, k), complete), naiveRoot(leaves.slice(k))]
    : [...naiveProof(first - k, leaves.slice(k), false), naiveRoot(leaves.slice(0, k))];
}

/** Inputs and roots of Certificate Transparency's reference tests. */
const inputs = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const roots = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

test('roots are those of the reference tests of Certificate Transparency', (t) => {
  let frontier = emptyFrontier;
  t.is(hex(rootOf(frontier)), roots[0]!);
  for (const [index, input] of inputs.entries()) {
    frontier = append(frontier, leafHash(Buffer.from(input, 'hex')));
    t.is(hex(rootOf(frontier)), roots[index + 1]!, `${index + 1} leaves`);
  }
});

test('a leaf of text is the leaf of its bytes', (t) => {
  t.is(hex(leafHash('é€')), hex(leafHash(Buffer.from('é€'))));
});

const leavesOf = (size: number): readonly Hash[] => Array.from({ length: size }, (_, index) => leafHash(`leaf ${index}`));

test('a frontier gives the naive root at every size, also after it was stored', (t) => {
  const leaves = leavesOf(130);
  let frontier = emptyFrontier;
  for (const [index, leaf] of leaves.entries()) {
    frontier = restoreFrontier(index, frontier.hashes);
    frontier = append(frontier, leaf);
    t.is(hex(rootOf(frontier)), hex(naiveRoot(leaves.slice(0, index + 1))));
  }
});

test('a stored frontier that cannot belong to its size is refused', (t) => {
  const [hash] = leavesOf(1) as [Hash];
  t.throws(() => restoreFrontier(3, [hash]), { instanceOf: TypeError });
  t.throws(() => restoreFrontier(4, [hash, hash]), { instanceOf: TypeError });
  t.throws(() => restoreFrontier(1, [hash.subarray(1)]), { instanceOf: TypeError });
  t.throws(() => restoreFrontier(-1, []), { instanceOf: TypeError });
  t.is(restoreFrontier(2 ** 40 + 1, [hash, hash]).size, 2 ** 40 + 1);
});

test('appending does not change the frontier it started from', (t) => {
  const [first, second] = leavesOf(2) as [Hash, Hash];
  const one = append(emptyFrontier, first);
  const before = hex(rootOf(one));
  append(one, second);
  t.is(hex(rootOf(one)), before);
  t.is(emptyFrontier.size, 0);
});

test('inclusion proofs are those of the RFC, and verify for their leaf, place and tree only', (t) => {
  for (let size = 1; size <= 33; size++) {
    const leaves = leavesOf(size);
    const root = naiveRoot(leaves);
    for (let index = 0; index < size; index++) {
      const proof = inclusionProof(index, size, rangeOfLeaves(leaves));
      t.deepEqual(proof.map(hex), naivePath(index, leaves).map(hex));
      t.true(verifyInclusion(leaves[index]!, index, size, proof, root));
      if (size > 1) t.false(verifyInclusion(leaves[(index + 1) % size]!, index, size, proof, root));
      if (size > 1) t.false(verifyInclusion(leaves[index]!, (index + 1) % size, size, proof, root));
      t.false(verifyInclusion(leaves[index]!, index, size, [...proof, root], root));
      if (proof.length > 0) t.false(verifyInclusion(leaves[index]!, index, size, proof.slice(1), root));
    }
  }
  t.throws(() => inclusionProof(3, 3, rangeOfLeaves(leavesOf(3))), { instanceOf: TypeError });
});

test('an inner node does not pass as a leaf, nor a smaller tree as a larger one', (t) => {
  const leaves = leavesOf(4);
  const [left, right] = [naiveRoot(leaves.slice(0, 2)), naiveRoot(leaves.slice(2))];
  t.true(verifyInclusion(left, 0, 2, [right], naiveRoot(leaves)));
  t.false(verifyInclusion(left, 0, 4, [right], naiveRoot(leaves)));
  t.false(verifyInclusion(right, 3, 4, [left], naiveRoot(leaves)));
  t.false(verifyConsistency(2, 8, left, naiveRoot(leaves), [right]));
});

test('consistency proofs are those of the RFC, and verify for their two trees only', (t) => {
  for (let second = 1; second <= 33; second++) {
    const leaves = leavesOf(second);
    const secondRoot = naiveRoot(leaves);
    for (let first = 1; first <= second; first++) {
      const firstRoot = naiveRoot(leaves.slice(0, first));
      const proof = consistencyProof(first, second, rangeOfLeaves(leaves));
      t.deepEqual(proof.map(hex), naiveProof(first, leaves).map(hex), `${first} ${second}`);
      t.true(verifyConsistency(first, second, firstRoot, secondRoot, proof), `${first} ${second}`);
      const other = naiveRoot([...leaves.slice(0, first - 1), leafHash('another')]);
      t.false(verifyConsistency(first, second, other, secondRoot, proof));
      t.false(verifyConsistency(first, second, firstRoot, other, proof));
      t.false(verifyConsistency(first, second, firstRoot, secondRoot, [...proof, firstRoot]));
      if (proof.length > 0) t.false(verifyConsistency(first, second, firstRoot, secondRoot, proof.slice(0, -1)));
    }
  }
});

test('a proof with one bit changed does not verify', (t) => {
  fc.assert(fc.property(fc.integer({ min: 2, max: 200 }), fc.nat(), fc.nat(), fc.nat(255), (size, at, place, bit) => {
    const leaves = leavesOf(size);
    const root = rootOf(leaves.reduce(append, emptyFrontier));
    const flip = (proof: readonly Hash[]): readonly Hash[] => proof.map((hash, index) => (index === place % proof.length ? hash.map((byte, offset) => (offset === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte)) : hash));
    const index = at % size;
    t.false(verifyInclusion(leaves[index]!, index, size, flip(inclusionProof(index, size, rangeOfLeaves(leaves))), root));
    const first = 1 + at % (size - 1);
    t.false(verifyConsistency(first, size, rangeOfLeaves(leaves)(0, first), root, flip(consistencyProof(first, size, rangeOfLeaves(leaves)))));
  }), { numRuns: 100 });
});

test('the ends of the scale: empty trees, equal trees, sizes beyond 32 bits', (t) => {
  const [leaf] = leavesOf(1) as [Hash];
  t.true(verifyConsistency(0, 1, emptyRoot, leaf, []));
  t.false(verifyConsistency(0, 1, leaf, leaf, []));
  t.true(verifyConsistency(1, 1, leaf, leaf, []));
  t.false(verifyConsistency(2, 1, leaf, leaf, []));
  t.false(verifyInclusion(leaf, 0, 0, [], leaf));
  t.false(verifyInclusion(leaf, 0.5, 1, [], leaf));
  // A tree of 2^40 equal leaves has one hash per level.
  const levels = [leaf];
  for (let level = 0; level < 40; level++) levels.push(nodeHash(levels[level]!, levels[level]!));
  const big = restoreFrontier(2 ** 40, [levels[40]!]);
  t.true(verifyInclusion(leaf, 2 ** 33 + 5, 2 ** 40, levels.slice(0, 40), rootOf(big)));
  const more = append(big, leaf);
  t.true(sameHash(rootOf(more), nodeHash(levels[40]!, leaf)));
  t.true(verifyConsistency(2 ** 40, 2 ** 40 + 1, rootOf(big), rootOf(more), [leaf]));
});
