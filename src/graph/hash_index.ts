/**
 * Hash indexes from short_channel_id and node_id to the graph's small integers.
 *
 * Open addressing with linear probing in one Int32Array (entry + 1; 0 is empty), no tombstones: removal shifts the
 * entries behind it back. The keys stay in the graph's columns, so an index costs 4 bytes for each of its slots:
 * at most 5/8 of them are taken, at least 5/16 after growth, hence 6.4 to 12.8 bytes for each entry.
 *
 * Peers choose the keys, so mixing is keyed: simple tabulation over 8 key bytes with tables drawn from a salt. For any
 * fixed set of keys linear probing then takes constant expected time, and who does not know the salt cannot aim.
 */
import { readU32 } from '../base/bytes.ts';
import { seededRng } from '../base/rng.ts';

const TABLE_ENTRIES = 256;
const KEY_BYTES = 8;

/** Eight tables of 256 random words, 8 KiB. @param salt 32 bits, secret from peers. */
export const mixingTables = (salt: number): Uint32Array => {
  const rng = seededRng(salt);
  const tables = new Uint32Array(KEY_BYTES * TABLE_ENTRIES);
  for (let index = 0; index < tables.length; index++) tables[index] = rng.fraction() * 4294967296;
  return tables;
};

/** 32 signed bits. */
export const hashScid = (tables: Uint32Array, hi: number, lo: number): number =>
  (tables[hi >>> 24] as number) ^
  (tables[256 + ((hi >>> 16) & 0xff)] as number) ^
  (tables[512 + ((hi >>> 8) & 0xff)] as number) ^
  (tables[768 + (hi & 0xff)] as number) ^
  (tables[1024 + (lo >>> 24)] as number) ^
  (tables[1280 + ((lo >>> 16) & 0xff)] as number) ^
  (tables[1536 + ((lo >>> 8) & 0xff)] as number) ^
  (tables[1792 + (lo & 0xff)] as number);

/**
 * 32 signed bits. Mixes the first and the last 8 bytes of the x coordinate, folded: node ids that agree in the fold need
 * 2^64 keys tried for each, because their owners must sign with them.
 */
export const hashNodeId = (tables: Uint32Array, bytes: Uint8Array, at: number): number =>
  hashScid(
    tables,
    (readU32(bytes, at + 1) ^ readU32(bytes, at + 25)) >>> 0,
    (readU32(bytes, at + 5) ^ readU32(bytes, at + 29)) >>> 0,
  );

/** How far entries are from where they belong. */
export interface ProbeStatistics {
  readonly entries: number;
  readonly slots: number;
  /** Slots looked at to find every entry once. */
  readonly total: number;
  /** Slots looked at to find the worst placed entry. */
  readonly longest: number;
}

const SMALLEST_SLOTS = 64;

const slotsFor = (entries: number): number => {
  let slots = SMALLEST_SLOTS;
  while (entries * 8 > slots * 5) slots *= 2;
  return slots;
};

/** Whether an index with so many slots can hold so many entries, with room to end every search. */
export const fitsSlots = (entries: number, slots: number): boolean =>
  slots >= SMALLEST_SLOTS && Number.isInteger(Math.log2(slots)) && entries * 8 <= slots * 5;

/** The slots of one index. Finding is left to the owner, who compares keys: see `slots` and `mask`. */
export class SlotTable {
  /** Entry + 1, or 0. Probe from `hash & mask` upwards, around the end, until 0. */
  slots: Int32Array;
  mask: number;
  #entries = 0;
  readonly #hashOf: (entry: number) => number;

  /** @param hashOf hash of the key of an entry that is in the index; @param expected entries to make room for */
  constructor(hashOf: (entry: number) => number, expected: number) {
    this.#hashOf = hashOf;
    this.slots = new Int32Array(slotsFor(expected));
    this.mask = this.slots.length - 1;
  }

  /** Adds an entry whose key is not in the index yet. */
  insert(hash: number, entry: number): void {
    if ((this.#entries + 1) * 8 > this.slots.length * 5) this.#grow();
    this.#place(hash, entry);
    this.#entries++;
  }

  /** Takes out an entry; the keys of all entries must still be readable. */
  remove(hash: number, entry: number): void {
    const { slots, mask } = this;
    let hole = hash & mask;
    while (slots[hole] !== entry + 1) {
      if (slots[hole] === 0) return;
      hole = (hole + 1) & mask;
    }
    for (let at = (hole + 1) & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const home = this.#hashOf((slots[at] as number) - 1) & mask;
      // An entry may move back to the hole unless the hole lies before its home.
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        slots[hole] = slots[at] as number;
        hole = at;
      }
    }
    slots[hole] = 0;
    this.#entries--;
  }

  /** Goes on with the slots of an index whose keys, hash and entries are the same. @param slots kept; must fit */
  adopt(slots: Int32Array, entries: number): void {
    this.slots = slots;
    this.mask = slots.length - 1;
    this.#entries = entries;
  }

  /** Walks the whole index; for tests and diagnosis. */
  probeStatistics(): ProbeStatistics {
    const { slots, mask } = this;
    let total = 0;
    let longest = 0;
    for (let slot = 0; slot < slots.length; slot++) {
      if (slots[slot] === 0) continue;
      const probes = ((slot - this.#hashOf((slots[slot] as number) - 1)) & mask) + 1;
      total += probes;
      if (probes > longest) longest = probes;
    }
    return { entries: this.#entries, slots: slots.length, total, longest };
  }

  /** Bytes allocated. */
  memoryBytes(): number {
    return this.slots.byteLength;
  }

  #place(hash: number, entry: number): void {
    const { slots, mask } = this;
    let slot = hash & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = entry + 1;
  }

  #grow(): void {
    const old = this.slots;
    this.slots = new Int32Array(old.length * 2);
    this.mask = this.slots.length - 1;
    for (let slot = 0; slot < old.length; slot++) {
      const entry = (old[slot] as number) - 1;
      if (entry >= 0) this.#place(this.#hashOf(entry), entry);
    }
  }
}
