/**
 * A hash table keyed by node_id: 33 bytes read in place from a message, so that a lookup allocates nothing.
 *
 * The twin of `ScidTable`: keys in one column, linear probing, load below one half, removal closes the gap. Node ids are found
 * by bytes 1 to 8, the top of the curve point's x; grinding keys that collide there costs more than the probes they cause.
 * Bounds are the owner's: each owner states its maximum.
 */
import { compareBytes, readU32 } from '../base/bytes.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';

const FIRST_SLOTS = 16;

export class NodeTable<T> {
  #keys = new Uint8Array(FIRST_SLOTS * NODE_ID_BYTES);
  /** Undefined marks a free slot. */
  #values: (T | undefined)[] = new Array<T | undefined>(FIRST_SLOTS).fill(undefined);
  #mask = FIRST_SLOTS - 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  #home(bytes: Uint8Array, at: number): number {
    let mixed = Math.imul(readU32(bytes, at + 1) ^ Math.imul(readU32(bytes, at + 5), 0x9e3779b1), 0x85ebca6b);
    mixed ^= mixed >>> 15;
    return Math.imul(mixed, 0xc2b2ae35) & this.#mask;
  }

  #slot(bytes: Uint8Array, at: number): number {
    let slot = this.#home(bytes, at);
    while (
      this.#values[slot] !== undefined &&
      compareBytes(this.#keys, slot * NODE_ID_BYTES, bytes, at, NODE_ID_BYTES) !== 0
    ) {
      slot = (slot + 1) & this.#mask;
    }
    return slot;
  }

  /** @param at index in `bytes` of the node_id's 33 bytes */
  get(bytes: Uint8Array, at: number): T | undefined {
    return this.#values[this.#slot(bytes, at)];
  }

  /** Copies the key. */
  set(bytes: Uint8Array, at: number, value: T): void {
    const slot = this.#slot(bytes, at);
    const isNew = this.#values[slot] === undefined;
    this.#values[slot] = value;
    if (!isNew) return;
    this.#keys.set(bytes.subarray(at, at + NODE_ID_BYTES), slot * NODE_ID_BYTES);
    this.#size++;
    if (this.#size * 2 > this.#mask) this.#grow();
  }

  /** True if the key was there. */
  delete(bytes: Uint8Array, at: number): boolean {
    let gap = this.#slot(bytes, at);
    if (this.#values[gap] === undefined) return false;
    this.#size--;
    let probe = gap;
    for (;;) {
      probe = (probe + 1) & this.#mask;
      if (this.#values[probe] === undefined) break;
      const home = this.#home(this.#keys, probe * NODE_ID_BYTES);
      // As in ScidTable: only an entry whose home does not lie behind the gap may move into it.
      if (((probe - home) & this.#mask) < ((probe - gap) & this.#mask)) continue;
      this.#keys.copyWithin(gap * NODE_ID_BYTES, probe * NODE_ID_BYTES, (probe + 1) * NODE_ID_BYTES);
      this.#values[gap] = this.#values[probe];
      gap = probe;
    }
    this.#values[gap] = undefined;
    return true;
  }

  #grow(): void {
    const [keys, values] = [this.#keys, this.#values];
    const slots = values.length * 2;
    this.#keys = new Uint8Array(slots * NODE_ID_BYTES);
    this.#values = new Array<T | undefined>(slots).fill(undefined);
    this.#mask = slots - 1;
    this.#size = 0;
    for (let slot = 0; slot < values.length; slot++) {
      const value = values[slot];
      if (value !== undefined) this.set(keys, slot * NODE_ID_BYTES, value);
    }
  }
}
