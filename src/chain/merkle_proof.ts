/**
 * Proves that a transaction stands at a position of a block: hashes its txid with the branch up to the root in the block's header.
 *
 * electrum.ts hands in what a server answered to blockchain.transaction.id_from_pos and get_merkle. Besides the root it checks what
 * the root alone leaves open: that the position has no bits above the branch, and that the leaf is no copy by which a tree with an
 * odd level is filled up (a position behind the last transaction would else prove the last one). The caller makes sure that
 * the txid is that of a transaction whose stripped length is not NODE_BYTES, or an inner node could pass for a transaction.
 */
import { bytesEqual, concatBytes } from '../base/bytes.ts';
import { doubleSha256 } from '../crypto/hash.ts';

/** Levels of a branch: a short_channel_id has 24 bits for the position, so no deeper one is of use. 24 x 32 = 768 bytes. */
export const MAX_MERKLE_BRANCH = 24;

/** What an inner node hashes: a transaction of this stripped length could be one. */
export const NODE_BYTES = 64;

export type MerkleFault = 'branch_too_long' | 'position_outside_tree' | 'duplicated_leaf' | 'wrong_root';

/** All hashes are 32 bytes in the order in which they are hashed; the branch is lowest first. Undefined: proven. */
export const merkleFault = (
  txid: Uint8Array,
  position: number,
  branch: readonly Uint8Array[],
  root: Uint8Array,
): MerkleFault | undefined => {
  if (branch.length > MAX_MERKLE_BRANCH) return 'branch_too_long';
  if (position < 0 || position >= 2 ** branch.length) return 'position_outside_tree';
  let node = txid;
  let rest = position;
  for (const sibling of branch) {
    const isRight = rest % 2 === 1;
    if (isRight && bytesEqual(sibling, node)) return 'duplicated_leaf';
    node = doubleSha256(isRight ? concatBytes(sibling, node) : concatBytes(node, sibling));
    rest = Math.floor(rest / 2);
  }
  return bytesEqual(node, root) ? undefined : 'wrong_root';
};
