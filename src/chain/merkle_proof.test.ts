import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { doubleSha256 } from '../crypto/hash.ts';
import { MAX_MERKLE_BRANCH, merkleFault } from './merkle_proof.ts';

const leaf = (seed: number): Uint8Array => new Uint8Array(32).fill(seed + 1);

/** The root and the branch of a leaf, a level at a time; an odd last node is paired with itself. */
const tree = (count: number, index: number): { root: Uint8Array; branch: Uint8Array[] } => {
  let level = Array.from({ length: count }, (_, seed) => leaf(seed));
  const branch: Uint8Array[] = [];
  for (let at = index; level.length > 1; at >>>= 1) {
    if (level.length % 2 === 1) level.push(level.at(-1) ?? leaf(0));
    branch.push(level[at ^ 1] ?? leaf(0));
    level = level.flatMap((node, place) =>
      place % 2 === 0 ? [doubleSha256(concatBytes(node, level[place + 1] ?? node))] : [],
    );
  }
  return { root: level[0] ?? leaf(0), branch };
};

test('every position of trees of 1 to 9 leaves is proven, and no other leaf stands there', () => {
  for (let count = 1; count <= 9; count++) {
    for (let index = 0; index < count; index++) {
      const { root, branch } = tree(count, index);
      assert.equal(merkleFault(leaf(index), index, branch, root), undefined, `${index} of ${count}`);
      assert.equal(merkleFault(leaf(index + 1), index, branch, root), 'wrong_root');
    }
  }
});

test('wrong_root: one false node of the branch', () => {
  const { root, branch } = tree(8, 5);
  for (const level of branch.keys()) {
    const bent = branch.with(level, leaf(77));
    assert.equal(merkleFault(leaf(5), 5, bent, root), 'wrong_root');
  }
});

test('duplicated_leaf: the copy that fills an odd level proves nothing', () => {
  const { root } = tree(3, 2);
  const { branch } = tree(3, 2);
  assert.equal(merkleFault(leaf(2), 2, branch, root), undefined);
  assert.equal(merkleFault(leaf(2), 3, branch, root), 'duplicated_leaf');
});

test('position_outside_tree: bits above the branch', () => {
  const { root, branch } = tree(4, 1);
  assert.equal(merkleFault(leaf(1), 1 + 4, branch, root), 'position_outside_tree');
  assert.equal(merkleFault(leaf(1), -1, branch, root), 'position_outside_tree');
});

test('branch_too_long: more levels than a short_channel_id can name', () => {
  const branch = Array.from({ length: MAX_MERKLE_BRANCH + 1 }, () => leaf(3));
  assert.equal(merkleFault(leaf(0), 0, branch, leaf(0)), 'branch_too_long');
  assert.equal(merkleFault(leaf(0), 0, branch.slice(1), leaf(0)), 'wrong_root');
});
