/**
 * Remembers which stored records a peer already has, so that they are not echoed to it (BOLT 7, rebroadcasting).
 *
 * Two generations of GENERATION_ENTRIES offsets: 2 x 16,384 x about 40 bytes = 1.3 MB for a peer that sends us all news, half an
 * hour of it at the least; nothing for one that sends nothing. When the young one is full the old one is forgotten: the cost is an echo, never a loss.
 */
import type { StoreOffset } from '../wire/store_record.ts';

export const GENERATION_ENTRIES = 16_384;

export class RecentOffsets {
  #young = new Set<StoreOffset>();
  #old = new Set<StoreOffset>();

  add(offset: StoreOffset): void {
    if (this.#young.size >= GENERATION_ENTRIES) {
      this.#old = this.#young;
      this.#young = new Set();
    }
    this.#young.add(offset);
  }

  has(offset: StoreOffset): boolean {
    return this.#young.has(offset) || this.#old.has(offset);
  }

  /** The store has a new file. @param translate 0 for a record that is not in it */
  relocate(translate: (offset: StoreOffset) => StoreOffset): void {
    this.#young = relocated(this.#young, translate);
    this.#old = relocated(this.#old, translate);
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }
}

const relocated = (
  offsets: ReadonlySet<StoreOffset>,
  translate: (offset: StoreOffset) => StoreOffset,
): Set<StoreOffset> => {
  const moved = new Set<StoreOffset>();
  for (const offset of offsets) {
    const now = translate(offset);
    if (now !== 0) moved.add(now);
  }
  return moved;
};
