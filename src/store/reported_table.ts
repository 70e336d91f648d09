/**
 * ReportedTable: what a tail has told its reader about each channel, direction and node, in typed arrays.
 *
 * tail_ledger fills and asks it: a record whose content stands here already is not told again when a compacted file brings
 * it once more. Keys are exact, not hashed: the short_channel_id, or the first 8 bytes of a node id behind its parity
 * byte, with a kind. A value is 64 bits: the record's timestamp and the CRC-32C of its message.
 * Memory: 26 bytes a slot, at most 3/4 of them taken, doubling: between 35 and 70 bytes a key. A channel has up to four keys, a
 * node one, so a store of 50,000 channels and 17,000 nodes costs 6.8 MB. Keys never outnumber the records of the
 * file that was read last by more than those of the file before. The multipliers are drawn at random because peers choose the keys.
 */
import type { Rng } from '../base/rng.ts';

/** 1 + direction for updates; the parity byte tells the two node kinds apart. */
export const KEY_KIND = {
  announcement: 1,
  update_0: 2,
  update_1: 3,
  dying: 4,
  node_02: 5,
  node_03: 6,
} as const;

const INITIAL_SLOTS = 1024;
const SEEN = 1;
const MET = 2;

export class ReportedTable {
  #slots = INITIAL_SLOTS;
  #used = 0;
  #announcements = 0;
  /** 0: free. */
  #kind = new Uint8Array(INITIAL_SLOTS);
  #mark = new Uint8Array(INITIAL_SLOTS);
  #hi = new Uint32Array(INITIAL_SLOTS);
  #lo = new Uint32Array(INITIAL_SLOTS);
  #timestamp = new Uint32Array(INITIAL_SLOTS);
  #content = new Uint32Array(INITIAL_SLOTS);
  #position = new Float64Array(INITIAL_SLOTS);
  readonly #seedHi: number;
  readonly #seedLo: number;

  constructor(rng: Rng) {
    const draw = (): number => (rng.fraction() * 4294967296) | 1;
    this.#seedHi = draw();
    this.#seedLo = draw();
  }

  /** Keys. */
  get size(): number {
    return this.#used;
  }

  /** Keys that are channels. */
  get channels(): number {
    return this.#announcements;
  }

  /** For walks over all of it: slots 0 to `slots - 1`. */
  get slots(): number {
    return this.#slots;
  }

  /** The key's slot, or -1; valid until the next set or remove. */
  find(kind: number, hi: number, lo: number): number {
    const mask = this.#slots - 1;
    for (let slot = this.#home(kind, hi, lo); this.#kind[slot] !== 0; slot = (slot + 1) & mask) {
      if (this.#lo[slot] === lo && this.#hi[slot] === hi && this.#kind[slot] === kind) return slot;
    }
    return -1;
  }

  /** 0 where the slot is free. */
  kindAt(slot: number): number {
    return this.#kind[slot] as number;
  }
  hiAt(slot: number): number {
    return this.#hi[slot] as number;
  }
  loAt(slot: number): number {
    return this.#lo[slot] as number;
  }
  timestampAt(slot: number): number {
    return this.#timestamp[slot] as number;
  }
  contentAt(slot: number): number {
    return this.#content[slot] as number;
  }
  /** Header position of the record in the file that is being read. */
  positionAt(slot: number): number {
    return this.#position[slot] as number;
  }
  isMarked(slot: number): boolean {
    return this.#mark[slot] !== 0;
  }
  isMet(slot: number): boolean {
    return ((this.#mark[slot] as number) & MET) !== 0;
  }
  /** The record is in the file that replaces the one before. */
  markSeen(slot: number): void {
    this.#mark[slot] = (this.#mark[slot] as number) | SEEN;
  }
  unmark(slot: number): void {
    this.#mark[slot] = 0;
  }
  /** Reading has come past the record in the file that replaces the one before. */
  markMet(slot: number, position: number): void {
    this.#mark[slot] = SEEN | MET;
    this.#position[slot] = position;
  }
  clearMarks(): void {
    this.#mark.fill(0);
  }

  /** Puts a value there, marked as met; makes the key if there is none. */
  set(kind: number, hi: number, lo: number, timestamp: number, content: number, position: number): void {
    let slot = this.find(kind, hi, lo);
    if (slot < 0) {
      if ((this.#used + 1) * 4 > this.#slots * 3) this.#resize(this.#slots * 2, false);
      slot = this.#place(kind, hi, lo);
    }
    this.#timestamp[slot] = timestamp;
    this.#content[slot] = content;
    this.#position[slot] = position;
    this.#mark[slot] = SEEN | MET;
  }

  /** Frees the slot, and moves those behind it up so that probing finds them. */
  remove(kind: number, hi: number, lo: number): void {
    let hole = this.find(kind, hi, lo);
    if (hole < 0) return;
    const mask = this.#slots - 1;
    this.#used--;
    if (kind === KEY_KIND.announcement) this.#announcements--;
    for (let slot = (hole + 1) & mask; this.#kind[slot] !== 0; slot = (slot + 1) & mask) {
      const home = this.#home(this.#kind[slot] as number, this.#hi[slot] as number, this.#lo[slot] as number);
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      this.#copy(this, slot, hole);
      hole = slot;
    }
    this.#kind[hole] = 0;
  }

  /** Forgets every key that is not marked. */
  keepMarked(): void {
    let marked = 0;
    for (let slot = 0; slot < this.#slots; slot++) {
      if (this.#kind[slot] !== 0 && this.#mark[slot] !== 0) marked++;
    }
    let slots = INITIAL_SLOTS;
    while (marked * 4 > slots * 3) slots *= 2;
    this.#resize(slots, true);
  }

  clear(): void {
    this.clearMarks();
    this.keepMarked();
  }

  #home(kind: number, hi: number, lo: number): number {
    let mixed = Math.imul(hi ^ this.#seedHi, 0x9e3779b1);
    mixed = Math.imul(mixed ^ (mixed >>> 16) ^ lo ^ Math.imul(kind, 0x85ebca6b), this.#seedLo);
    mixed = Math.imul(mixed ^ (mixed >>> 15), this.#seedHi);
    return (mixed ^ (mixed >>> 13)) & (this.#slots - 1);
  }

  #place(kind: number, hi: number, lo: number): number {
    const mask = this.#slots - 1;
    let slot = this.#home(kind, hi, lo);
    while (this.#kind[slot] !== 0) slot = (slot + 1) & mask;
    this.#kind[slot] = kind;
    this.#hi[slot] = hi;
    this.#lo[slot] = lo;
    this.#used++;
    if (kind === KEY_KIND.announcement) this.#announcements++;
    return slot;
  }

  #copy(from: ReportedTable, source: number, target: number): void {
    this.#kind[target] = from.#kind[source] as number;
    this.#mark[target] = from.#mark[source] as number;
    this.#hi[target] = from.#hi[source] as number;
    this.#lo[target] = from.#lo[source] as number;
    this.#timestamp[target] = from.#timestamp[source] as number;
    this.#content[target] = from.#content[source] as number;
    this.#position[target] = from.#position[source] as number;
  }

  #resize(slots: number, onlyMarked: boolean): void {
    const [kind, mark, hi, lo] = [this.#kind, this.#mark, this.#hi, this.#lo];
    const [timestamp, content, position] = [this.#timestamp, this.#content, this.#position];
    this.#slots = slots;
    this.#used = 0;
    this.#announcements = 0;
    this.#kind = new Uint8Array(slots);
    this.#mark = new Uint8Array(slots);
    this.#hi = new Uint32Array(slots);
    this.#lo = new Uint32Array(slots);
    this.#timestamp = new Uint32Array(slots);
    this.#content = new Uint32Array(slots);
    this.#position = new Float64Array(slots);
    for (let slot = 0; slot < kind.length; slot++) {
      if (kind[slot] === 0 || (onlyMarked && mark[slot] === 0)) continue;
      const to = this.#place(kind[slot] as number, hi[slot] as number, lo[slot] as number);
      this.#mark[to] = mark[slot] as number;
      this.#timestamp[to] = timestamp[slot] as number;
      this.#content[to] = content[slot] as number;
      this.#position[to] = position[slot] as number;
    }
  }
}
