/**
 * PoolHolders: the peers whose lists the WantedPool keeps, as bits of an int, with how much each has there.
 *
 * Bounds: MAX_HOLDERS peers; for each a set of nodes of known channels, so at most the graph's nodes.
 */
import { MAX_HOLDERS } from './wanted_scids.ts';

export class PoolHolders {
  /** Bits in use, and of these the peers that know query_flags. */
  #taken = 0;
  #extended = 0;
  /** Entries that each has, whatever their state. */
  readonly #entries = new Uint32Array(MAX_HOLDERS);
  readonly #nodes = Array.from({ length: MAX_HOLDERS }, () => new Set<number>());

  /** A number for a peer; -1 when all are in use. */
  take(isExtended: boolean): number {
    for (let holder = 0; holder < MAX_HOLDERS; holder++) {
      if ((this.#taken & (1 << holder)) !== 0) continue;
      this.#taken |= 1 << holder;
      this.#entries[holder] = 0;
      this.setExtended(holder, isExtended);
      return holder;
    }
    return -1;
  }

  release(holder: number): void {
    this.#taken &= ~(1 << holder);
    this.setExtended(holder, false);
  }

  setExtended(holder: number, isExtended: boolean): void {
    this.#extended = isExtended ? this.#extended | (1 << holder) : this.#extended & ~(1 << holder);
  }

  /** Of these bits, those of peers that know query_flags. */
  extendedOf(bits: number): number {
    return bits & this.#extended;
  }

  entries(holder: number): number {
    return this.#entries[holder] as number;
  }

  added(holder: number): void {
    this.#entries[holder] = this.entries(holder) + 1;
  }

  /** An entry that these have is gone. */
  removed(bits: number): void {
    for (let left = bits; left !== 0; ) {
      const holder = 31 - Math.clz32(left);
      this.#entries[holder] = this.entries(holder) - 1;
      left ^= 1 << holder;
    }
  }

  /** What it listed does not count any more. */
  forget(holder: number): void {
    this.#entries[holder] = 0;
    this.#nodes[holder]?.clear();
  }

  /** Nodes without an announcement for which one of its channels is asked for, by graph index. */
  nodesOf(holder: number): Set<number> {
    return this.#nodes[holder] ?? new Set();
  }
}
