/**
 * Remembers one 32-bit stamp for each 64-bit key, compactly, for as long as the stamp means something: when a budget is full
 * again, or the timestamp of a message that was not kept.
 *
 * Twelve bytes an entry in three columns, found by linear probing at a load of at most one half, nothing allocated but when it
 * grows. An entry whose stamp is `over` says the same as no entry; such entries go whenever the table is made anew.
 * Bound: the owner's maximum of entries, at 2 * 12 bytes. When it is full of stamps that are not over, all is forgotten and
 * `turnovers` counts it: every key starts afresh, which favours its owner, and the owner's other bounds still hold.
 */

const FIRST_SLOTS = 16;

export class StampTable {
  readonly #maxEntries: number;
  readonly #isOver: (stamp: number) => boolean;
  #hi = new Uint32Array(FIRST_SLOTS);
  #lo = new Uint32Array(FIRST_SLOTS);
  /** 0 marks a free slot. */
  #stamps = new Uint32Array(FIRST_SLOTS);
  #mask = FIRST_SLOTS - 1;
  #size = 0;
  turnovers = 0;

  /** @param maxEntries a power of two, 16 at least */
  constructor(maxEntries: number, isOver: (stamp: number) => boolean) {
    this.#maxEntries = maxEntries;
    this.#isOver = isOver;
  }

  /** Entries, those included that are over and not yet gone. */
  get size(): number {
    return this.#size;
  }

  /** Bytes of columns. */
  get bytes(): number {
    return this.#stamps.length * 12;
  }

  /** 0 when there is none. @param hi @param lo unsigned 32-bit halves */
  get(hi: number, lo: number): number {
    return this.#size === 0 ? 0 : (this.#stamps[this.#slot(hi, lo)] as number);
  }

  /** @param stamp 1 to 2^32 - 1 */
  set(hi: number, lo: number, stamp: number): void {
    let slot = this.#slot(hi, lo);
    if (this.#stamps[slot] === 0) {
      if ((this.#size + 1) * 2 > this.#stamps.length) {
        this.#makeAnew();
        slot = this.#slot(hi, lo);
      }
      this.#hi[slot] = hi;
      this.#lo[slot] = lo;
      this.#size++;
    }
    this.#stamps[slot] = stamp;
  }

  #slot(hi: number, lo: number): number {
    let mixed = Math.imul(hi ^ Math.imul(lo, 0x9e3779b1), 0x85ebca6b);
    mixed ^= mixed >>> 15;
    let slot = Math.imul(mixed, 0xc2b2ae35) & this.#mask;
    while (this.#stamps[slot] !== 0 && (this.#hi[slot] !== hi || this.#lo[slot] !== lo)) {
      slot = (slot + 1) & this.#mask;
    }
    return slot;
  }

  /** Leaves out what is over; three quarters of the slots are free afterwards, unless the table has its full size. */
  #makeAnew(): void {
    const [hi, lo, stamps] = [this.#hi, this.#lo, this.#stamps];
    let live = 0;
    for (const stamp of stamps) if (stamp !== 0 && !this.#isOver(stamp)) live++;
    // An eighth must be free, or the next one would come here again at once.
    const isFull = live * 8 > this.#maxEntries * 7;
    if (isFull) {
      this.turnovers++;
      live = 0;
    }
    let slots = FIRST_SLOTS;
    while (slots < (live + 1) * 4 && slots < this.#maxEntries * 2) slots *= 2;
    this.#hi = new Uint32Array(slots);
    this.#lo = new Uint32Array(slots);
    this.#stamps = new Uint32Array(slots);
    this.#mask = slots - 1;
    this.#size = 0;
    if (isFull) return;
    for (let from = 0; from < stamps.length; from++) {
      const stamp = stamps[from] as number;
      if (stamp !== 0 && !this.#isOver(stamp)) this.set(hi[from] as number, lo[from] as number, stamp);
    }
  }
}
