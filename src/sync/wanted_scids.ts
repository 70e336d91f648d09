/**
 * WantedScids: the table of channels that some peer has and we want, with who has them.
 *
 * Columns by slot (a small int, stable until the entry is removed) and an open-addressed index by short_channel_id; no object
 * for each entry. `holders` and `asked` are bit sets over at most MAX_HOLDERS peers that take part.
 * Bound: MAX_WANTED entries. Each takes 4 + 4 + 4 + 4 + 1 + 1 + 1 bytes of columns, up to 16 of index and 8 of free list, grown by
 * doubling: 2,000,000 entries are at most 2^21 x 43 = 90 MB, reached only when peers invent channels; today's
 * network (50,000) takes 2.8 MB. When it is full, add() returns -1 and the seeker asks again later.
 */

import { compareHalves, HI, halvesOf, LO } from './scid_halves.ts';

/** Peers whose lists are kept at a time: the bits of an int. */
export const MAX_HOLDERS = 32;
/** See the arithmetic above. */
export const MAX_WANTED = 2_000_000;

/** What is to become of an entry. */
export const WANTED_STATE = {
  free: 0,
  /** To be asked for. */
  waiting: 1,
  /** In an open query. */
  asked: 2,
  /** The query has ended; what was delivered is still being checked. */
  arriving: 3,
  /** Asked for in vain. */
  given_up: 4,
} as const;

export type WantedState = (typeof WANTED_STATE)[keyof typeof WANTED_STATE];

const grown = <T extends Uint8Array | Uint32Array>(column: T, next: T): T => {
  next.set(column);
  return next;
};

export class WantedScids {
  hi = new Uint32Array(1024);
  lo = new Uint32Array(1024);
  /** Bit per peer that says it has the channel. */
  holders = new Uint32Array(1024);
  /** Bit per peer that was asked and did not deliver. */
  asked = new Uint32Array(1024);
  tries = new Uint8Array(1024);
  /** QUERY_FLAG bits of what is wanted. */
  flags = new Uint8Array(1024);
  /** One past the highest slot ever used. */
  end = 0;
  #state = new Uint8Array(1024);
  /** Slot plus one; 0 is empty. */
  #index = new Int32Array(4096);
  readonly #counts = new Uint32Array(5);
  readonly #free: number[] = [];
  readonly #salt: number;
  readonly #limit: number;

  /** @param salt 32 random bits, so that peers cannot choose ids that collide. @param limit see MAX_WANTED; smaller in tests. */
  constructor(salt: number, limit: number = MAX_WANTED) {
    this.#salt = salt;
    this.#limit = limit;
  }

  /** Sorts slots by their ids, as queries want them; the array itself. */
  ascending(slots: number[]): number[] {
    const { hi, lo } = this;
    return slots.sort((left, right) =>
      compareHalves(hi[left] as number, lo[left] as number, hi[right] as number, lo[right] as number),
    );
  }

  /** The ids of slots, for a query. */
  scidsOf(slots: readonly number[]): BigUint64Array {
    const scids = new BigUint64Array(slots.length);
    const halves = halvesOf(scids);
    for (const [index, slot] of slots.entries()) {
      halves[index * 2 + HI] = this.hi[slot] as number;
      halves[index * 2 + LO] = this.lo[slot] as number;
    }
    return scids;
  }

  get size(): number {
    return this.end - this.#free.length;
  }

  count(state: WantedState): number {
    return this.#counts[state] as number;
  }

  state(slot: number): WantedState {
    return this.#state[slot] as WantedState;
  }

  setState(slot: number, state: WantedState): void {
    const previous = this.#state[slot] as number;
    this.#counts[previous] = (this.#counts[previous] as number) - 1;
    this.#counts[state] = (this.#counts[state] as number) + 1;
    this.#state[slot] = state;
  }

  /** -1 when it is not wanted. */
  find(hi: number, lo: number): number {
    const mask = this.#index.length - 1;
    for (let at = this.#hash(hi, lo) & mask; ; at = (at + 1) & mask) {
      const slot = (this.#index[at] as number) - 1;
      if (slot < 0) return -1;
      if (this.lo[slot] === lo && this.hi[slot] === hi) return slot;
    }
  }

  /** Adds what find() did not find, waiting and without holders. -1 when the table is full. */
  add(hi: number, lo: number, flags: number): number {
    if (this.size >= this.#limit) return -1;
    const slot = this.#free.pop() ?? this.end++;
    if (slot >= this.hi.length) this.#grow();
    this.hi[slot] = hi;
    this.lo[slot] = lo;
    this.holders[slot] = 0;
    this.asked[slot] = 0;
    this.tries[slot] = 0;
    this.flags[slot] = flags;
    this.#counts[WANTED_STATE.waiting] = this.count(WANTED_STATE.waiting) + 1;
    this.#state[slot] = WANTED_STATE.waiting;
    this.#insert(slot);
    return slot;
  }

  remove(slot: number): void {
    const state = this.state(slot);
    this.#counts[state] = this.count(state) - 1;
    this.#state[slot] = WANTED_STATE.free;
    this.#unindex(slot);
    this.#free.push(slot);
    if (this.#free.length === this.end) {
      this.#free.length = 0;
      this.end = 0;
    }
  }

  #hash(hi: number, lo: number): number {
    let mixed = Math.imul(hi ^ this.#salt, 0x9e3779b1) ^ Math.imul(lo + this.#salt, 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
    return (mixed ^ (mixed >>> 13)) >>> 0;
  }

  #hashSlot(slot: number): number {
    return this.#hash(this.hi[slot] as number, this.lo[slot] as number);
  }

  #insert(slot: number): void {
    const mask = this.#index.length - 1;
    let at = this.#hashSlot(slot) & mask;
    while (this.#index[at] !== 0) at = (at + 1) & mask;
    this.#index[at] = slot + 1;
  }

  /** Closes the gap by moving later entries of the same run back, so that no markers pile up. */
  #unindex(slot: number): void {
    const index = this.#index;
    const mask = index.length - 1;
    let gap = this.#hashSlot(slot) & mask;
    while (index[gap] !== slot + 1) gap = (gap + 1) & mask;
    for (let at = (gap + 1) & mask; index[at] !== 0; at = (at + 1) & mask) {
      const home = this.#hashSlot((index[at] as number) - 1) & mask;
      if (((at - home) & mask) >= ((at - gap) & mask)) {
        index[gap] = index[at] as number;
        gap = at;
      }
    }
    index[gap] = 0;
  }

  #grow(): void {
    const capacity = this.hi.length * 2;
    this.hi = grown(this.hi, new Uint32Array(capacity));
    this.lo = grown(this.lo, new Uint32Array(capacity));
    this.holders = grown(this.holders, new Uint32Array(capacity));
    this.asked = grown(this.asked, new Uint32Array(capacity));
    this.tries = grown(this.tries, new Uint8Array(capacity));
    this.flags = grown(this.flags, new Uint8Array(capacity));
    this.#state = grown(this.#state, new Uint8Array(capacity));
    this.#index = new Int32Array(capacity * 4);
    for (let slot = 0; slot < capacity / 2; slot++) {
      if (this.#state[slot] !== WANTED_STATE.free) this.#insert(slot);
    }
  }
}
