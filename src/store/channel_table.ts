/**
 * ChannelTable: short_channel_id -> where its live records are, while a store is loaded.
 *
 * load.ts fills it in one pass and throws it away. It finds second announcements, and the records that a crash left
 * without the flag they were about to get. Open addressing with linear probing in typed arrays, at most 5/8 full; the
 * multipliers are drawn at random because peers choose the keys. Grows with the channels in the file: 41 bytes a slot,
 * 5.4 MB at mainnet's 50,000.
 */
import type { Rng } from '../base/rng.ts';

const INITIAL_SLOTS = 1024;

const COLUMNS = 4;
export const ANNOUNCEMENT_COLUMN = 0;
/** Direction 0; direction 1 follows. */
export const UPDATE_COLUMN = 1;
export const DYING_COLUMN = 3;
export type Column = 0 | 1 | 2 | 3;

/** What is remembered of each channel. 0 stands for none: no message lies at offset 0. */
export class ChannelTable {
  #mask = INITIAL_SLOTS - 1;
  #used = 0;
  #hi = new Uint32Array(INITIAL_SLOTS);
  #lo = new Uint32Array(INITIAL_SLOTS);
  #taken = new Uint8Array(INITIAL_SLOTS);
  /** Message offsets: the announcement, the update of each direction, chan_dying; four for each slot. */
  #offsets = new Float64Array(INITIAL_SLOTS * COLUMNS);
  readonly #seedHi: number;
  readonly #seedLo: number;

  constructor(rng: Rng) {
    const draw = (): number => (rng.fraction() * 4294967296) | 1;
    this.#seedHi = draw();
    this.#seedLo = draw();
  }

  /** The channel's slot, or -1. Slots are valid until the next add(). */
  find(hi: number, lo: number): number {
    for (let slot = this.#home(hi, lo); this.#taken[slot] !== 0; slot = (slot + 1) & this.#mask) {
      if (this.#hi[slot] === hi && this.#lo[slot] === lo) return slot;
    }
    return -1;
  }

  /** The channel's slot, made if there is none. */
  add(hi: number, lo: number): number {
    const known = this.find(hi, lo);
    if (known >= 0) return known;
    if ((this.#used + 1) * 8 > (this.#mask + 1) * 5) this.#grow();
    this.#used++;
    return this.#place(hi, lo);
  }

  get(slot: number, column: Column): number {
    return this.#offsets[slot * COLUMNS + column] as number;
  }

  set(slot: number, column: Column, offset: number): void {
    this.#offsets[slot * COLUMNS + column] = offset;
  }

  /** Forgets the channel's records; the key stays, so that probing over the slot goes on. */
  clear(slot: number): void {
    this.#offsets.fill(0, slot * COLUMNS, (slot + 1) * COLUMNS);
  }

  #home(hi: number, lo: number): number {
    let mixed = Math.imul(hi ^ this.#seedHi, 0x9e3779b1);
    mixed = Math.imul(mixed ^ (mixed >>> 16) ^ lo, this.#seedLo);
    mixed = Math.imul(mixed ^ (mixed >>> 15), this.#seedHi);
    return (mixed ^ (mixed >>> 13)) & this.#mask;
  }

  #place(hi: number, lo: number): number {
    let slot = this.#home(hi, lo);
    while (this.#taken[slot] !== 0) slot = (slot + 1) & this.#mask;
    this.#taken[slot] = 1;
    this.#hi[slot] = hi;
    this.#lo[slot] = lo;
    return slot;
  }

  #grow(): void {
    const [hi, lo, taken, offsets] = [this.#hi, this.#lo, this.#taken, this.#offsets];
    const slots = (this.#mask + 1) * 2;
    this.#mask = slots - 1;
    this.#hi = new Uint32Array(slots);
    this.#lo = new Uint32Array(slots);
    this.#taken = new Uint8Array(slots);
    this.#offsets = new Float64Array(slots * COLUMNS);
    for (let slot = 0; slot < taken.length; slot++) {
      if (taken[slot] === 0) continue;
      const to = this.#place(hi[slot] as number, lo[slot] as number);
      for (let column = 0; column < COLUMNS; column++) {
        this.#offsets[to * COLUMNS + column] = offsets[slot * COLUMNS + column] as number;
      }
    }
  }
}
