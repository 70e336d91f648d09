/**
 * Remembers short_channel_ids whose funding output is known to be spent or never to have been, so that neither peers' lists nor
 * late announcements make us ask the chain for them again (B7-05, Q-04). Longer than RefusedMemory, which forgets after two hours.
 *
 * The channel judge and Departures put in what the chain has told; daemon/ keeps it over a restart in chain.json, where losing it
 * costs only lookups. Each entry has the height of the chain when that was learned, or of the spend: when a block at or above goes,
 * a reorganisation may have made it untrue, and it is forgotten.
 * Two generations, without a clock: when the young one is full it becomes the old one, and the old one is forgotten. Bound:
 * MAX_CLOSED_SCIDS, at some 200 closes a day those of two years and more; two tables of 2^18 slots of 16 bytes: 8.4 MB.
 */
import { readU32, writeU32 } from '../base/bytes.ts';
import { ScidTable } from './scid_table.ts';

export const MAX_CLOSED_SCIDS = 200_000;
/** Bytes of one entry as kept in a file: scid, height. */
const ENTRY_BYTES = 12;

export class ClosedMemory {
  readonly #maxYoung: number;
  #young = new ScidTable<number>();
  #old = new ScidTable<number>();

  /** @param max see MAX_CLOSED_SCIDS; smaller in tests */
  constructor(max = MAX_CLOSED_SCIDS) {
    this.#maxYoung = max / 2;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** @param height of the block that spent it, or else of the tip when this was learned */
  remember(scidHi: number, scidLo: number, height: number): void {
    if (this.#young.size >= this.#maxYoung && !this.#young.has(scidHi, scidLo)) {
      this.#old = this.#young;
      this.#young = new ScidTable<number>();
    }
    this.#old.delete(scidHi, scidLo);
    this.#young.set(scidHi, scidLo, height);
  }

  has(scidHi: number, scidLo: number): boolean {
    if (this.size === 0) return false;
    return this.#young.has(scidHi, scidLo) || this.#old.has(scidHi, scidLo);
  }

  /** The output is there after all. */
  forget(scidHi: number, scidLo: number): void {
    this.#young.delete(scidHi, scidLo);
    this.#old.delete(scidHi, scidLo);
  }

  /** The block at this height has gone: what was learned since is not known any more. Linear. */
  forgetFrom(height: number): void {
    for (const table of [this.#young, this.#old]) {
      const doubtful: [number, number][] = [];
      table.forEach((since, hi, lo) => {
        if (since >= height) doubtful.push([hi, lo]);
      });
      for (const [hi, lo] of doubtful) table.delete(hi, lo);
    }
  }

  /** For a file: 12 bytes each, big-endian: scid, height; the older half first. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.size * ENTRY_BYTES);
    let at = 0;
    for (const table of [this.#old, this.#young]) {
      table.forEach((since, hi, lo) => {
        writeU32(bytes, at, hi);
        writeU32(bytes, at + 4, lo);
        writeU32(bytes, at + 8, since);
        at += ENTRY_BYTES;
      });
    }
    return bytes;
  }

  /** Takes what toBytes gave, on top of what is there; of too many entries the last. Borrows the bytes; a rest is not looked at. */
  load(bytes: Uint8Array): void {
    for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
      this.remember(readU32(bytes, at), readU32(bytes, at + 4), readU32(bytes, at + 8));
    }
  }
}
