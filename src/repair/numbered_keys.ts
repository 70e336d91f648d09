/**
 * NumberedKeys: short_channel_ids or node ids, numbered in the order in which a pass over a store meets them.
 *
 * Numbers count from 0 and never change, so that columns can be kept beside them. Keys lie in one typed array that grows
 * by doubling; open addressing with linear probing, at most half full. The hash is seeded because whoever made the file chose the
 * keys. A key of 8 bytes takes 16, and what growing leaves free.
 */
import { readU32 } from '../base/bytes.ts';
import type { Rng } from '../base/rng.ts';

export const INITIAL_KEYS = 1024;

/** Fixed-size byte keys, numbered from 0 in the order in which they were added. */
export class NumberedKeys {
  /** All keys, one after another. */
  keys: Uint8Array;
  count = 0;
  readonly #keyBytes: number;
  readonly #limit: number;
  readonly #seeds: readonly [number, number];
  /** Number of the key plus one; 0 is free. At most half full. */
  #slots = new Uint32Array(INITIAL_KEYS * 2);

  constructor(rng: Rng, keyBytes: number, limit: number) {
    const draw = (): number => (rng.fraction() * 4294967296) | 1;
    this.#keyBytes = keyBytes;
    this.#limit = limit;
    this.#seeds = [draw(), draw()];
    this.keys = new Uint8Array(INITIAL_KEYS * keyBytes);
  }

  /** The key's number, or -1. */
  find(bytes: Uint8Array, at: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = this.#hash(bytes, at) & mask; ; slot = (slot + 1) & mask) {
      const number = (this.#slots[slot] as number) - 1;
      if (number < 0 || this.#equals(number, bytes, at)) return number;
    }
  }

  /** The key's number, given now if it has none; -1 when the table is full. */
  add(bytes: Uint8Array, at: number): number {
    const known = this.find(bytes, at);
    if (known >= 0) return known;
    if (this.count >= this.#limit) return -1;
    if (this.count * this.#keyBytes === this.keys.length) this.#grow();
    const number = this.count++;
    const to = number * this.#keyBytes;
    for (let index = 0; index < this.#keyBytes; index++) this.keys[to + index] = bytes[at + index] as number;
    this.#place(number);
    return number;
  }

  #equals(number: number, bytes: Uint8Array, at: number): boolean {
    const from = number * this.#keyBytes;
    for (let index = this.#keyBytes - 1; index >= 0; index--) {
      if (this.keys[from + index] !== bytes[at + index]) return false;
    }
    return true;
  }

  #hash(bytes: Uint8Array, at: number): number {
    const [first, second] = this.#seeds;
    let mixed = first;
    let index = this.#keyBytes & 3;
    if (index > 0) mixed = Math.imul(mixed ^ (bytes[at] as number), second);
    for (; index < this.#keyBytes; index += 4) {
      mixed = Math.imul(mixed ^ readU32(bytes, at + index), second);
      mixed ^= mixed >>> 15;
    }
    mixed = Math.imul(mixed, first);
    return (mixed ^ (mixed >>> 13)) >>> 0;
  }

  #place(number: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#hash(this.keys, number * this.#keyBytes) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = number + 1;
  }

  #grow(): void {
    const keys = new Uint8Array(this.keys.length * 2);
    keys.set(this.keys);
    this.keys = keys;
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let number = 0; number < this.count; number++) this.#place(number);
  }
}
