/**
 * A hash table keyed by the two 32-bit halves of a short_channel_id (or by any other 64 bits), for the tables of ingest/.
 *
 * A 64-bit key does not fit a double, and bigint or string keys cost an allocation per message; here keys lie in two columns
 * and are found by linear probing. Load stays below one half; a removal closes the gap, so that nothing wears out with use.
 * Keys may be chosen by an attacker: n colliding keys cost n probes each, 10,000 of them some 10 microseconds a lookup, which
 * is less than the signature check that every entry of such a table has cost or will cost.
 * Bounds are the owner's: each owner states its maximum.
 */

const FIRST_SLOTS = 16;

export class ScidTable<T> {
  #hi = new Uint32Array(FIRST_SLOTS);
  #lo = new Uint32Array(FIRST_SLOTS);
  /** Undefined marks a free slot. */
  #values: (T | undefined)[] = new Array<T | undefined>(FIRST_SLOTS).fill(undefined);
  #mask = FIRST_SLOTS - 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  #home(hi: number, lo: number): number {
    let mixed = Math.imul(hi ^ Math.imul(lo, 0x9e3779b1), 0x85ebca6b);
    mixed ^= mixed >>> 15;
    return Math.imul(mixed, 0xc2b2ae35) & this.#mask;
  }

  /** The slot of the key, or the free one where it would go. */
  #slot(hi: number, lo: number): number {
    let slot = this.#home(hi, lo);
    while (this.#values[slot] !== undefined && (this.#hi[slot] !== hi || this.#lo[slot] !== lo)) {
      slot = (slot + 1) & this.#mask;
    }
    return slot;
  }

  /** @param hi @param lo unsigned 32-bit halves */
  get(hi: number, lo: number): T | undefined {
    return this.#values[this.#slot(hi, lo)];
  }

  has(hi: number, lo: number): boolean {
    return this.get(hi, lo) !== undefined;
  }

  set(hi: number, lo: number, value: T): void {
    const slot = this.#slot(hi, lo);
    const isNew = this.#values[slot] === undefined;
    this.#hi[slot] = hi;
    this.#lo[slot] = lo;
    this.#values[slot] = value;
    if (!isNew) return;
    this.#size++;
    if (this.#size * 2 > this.#mask) this.#grow();
  }

  /** True if the key was there. */
  delete(hi: number, lo: number): boolean {
    let gap = this.#slot(hi, lo);
    if (this.#values[gap] === undefined) return false;
    this.#size--;
    let probe = gap;
    for (;;) {
      probe = (probe + 1) & this.#mask;
      if (this.#values[probe] === undefined) break;
      const home = this.#home(this.#hi[probe] as number, this.#lo[probe] as number);
      // An entry may move back into the gap unless its home lies behind the gap, on the way from the gap to it.
      if (((probe - home) & this.#mask) < ((probe - gap) & this.#mask)) continue;
      this.#hi[gap] = this.#hi[probe] as number;
      this.#lo[gap] = this.#lo[probe] as number;
      this.#values[gap] = this.#values[probe];
      gap = probe;
    }
    this.#values[gap] = undefined;
    return true;
  }

  /** In no particular order; the table must not change meanwhile. */
  forEach(visit: (value: T, hi: number, lo: number) => void): void {
    for (let slot = 0; slot <= this.#mask; slot++) {
      const value = this.#values[slot];
      if (value !== undefined) visit(value, this.#hi[slot] as number, this.#lo[slot] as number);
    }
  }

  #grow(): void {
    const [hi, lo, values] = [this.#hi, this.#lo, this.#values];
    this.#resize(values.length * 2);
    for (let slot = 0; slot < values.length; slot++) {
      const value = values[slot];
      if (value !== undefined) this.set(hi[slot] as number, lo[slot] as number, value);
    }
  }

  #resize(slots: number): void {
    this.#hi = new Uint32Array(slots);
    this.#lo = new Uint32Array(slots);
    this.#values = new Array<T | undefined>(slots).fill(undefined);
    this.#mask = slots - 1;
    this.#size = 0;
  }
}
