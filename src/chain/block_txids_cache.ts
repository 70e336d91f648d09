/**
 * The transaction ids of blocks that were asked for lately, by block hash. What a block holds never changes, so nothing here can
 * become wrong by a reorganisation; which block stands at a height is never kept.
 *
 * Packed: 32 bytes for each id, in the order in which they are hashed. The block that was used longest ago goes first.
 */

/**
 * 524,288 ids of 32 bytes are 16 MiB: the last 170 full blocks of mainnet (some 3,000 transactions each), or a day of blocks.
 * One block of MAX_BLOCK_TXIDS always fits.
 */
export const MAX_CACHED_TXIDS = 524_288;
/** Small blocks cost more than their ids: some 300 bytes each for key and entry, 1.2 MiB in all. */
export const MAX_CACHED_BLOCKS = 4096;
/**
 * A block weighs at most 4,000,000. The smallest transaction is 60 bytes without witness (10, an input of 41, an output of 9),
 * which weigh 240.
 */
export const MAX_BLOCK_TXIDS = 16_666;

export const TXID_BYTES = 32;

export class BlockTxidsCache {
  /** In order of use, the least recent first. */
  readonly #blocks = new Map<string, Uint8Array>();
  readonly #maxTxids: number;
  readonly #maxBlocks: number;
  #txids = 0;

  constructor(maxTxids = MAX_CACHED_TXIDS, maxBlocks = MAX_CACHED_BLOCKS) {
    this.#maxTxids = maxTxids;
    this.#maxBlocks = maxBlocks;
  }

  get blocks(): number {
    return this.#blocks.size;
  }

  get txids(): number {
    return this.#txids;
  }

  /** Borrowed: never written to. */
  get(hash: string): Uint8Array | undefined {
    const packed = this.#blocks.get(hash);
    if (packed === undefined) return undefined;
    this.#blocks.delete(hash);
    this.#blocks.set(hash, packed);
    return packed;
  }

  /** Takes ownership of the ids. A block that alone is more than the cache may hold is not kept. */
  put(hash: string, packed: Uint8Array): void {
    const known = this.#blocks.get(hash);
    if (known !== undefined) this.#forget(hash, known);
    if (packed.length / TXID_BYTES > this.#maxTxids) return;
    this.#blocks.set(hash, packed);
    this.#txids += packed.length / TXID_BYTES;
    for (const [oldest, ids] of this.#blocks) {
      if (this.#txids <= this.#maxTxids && this.#blocks.size <= this.#maxBlocks) break;
      this.#forget(oldest, ids);
    }
  }

  #forget(hash: string, packed: Uint8Array): void {
    this.#blocks.delete(hash);
    this.#txids -= packed.length / TXID_BYTES;
  }
}
