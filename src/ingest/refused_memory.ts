/**
 * Remembers, for one to two hours, 64-bit keys of what was refused, so that the same thing costs nothing a second time.
 * ingest/ keeps two: short_channel_ids without a usable funding output, and fingerprints of messages with bad signatures.
 *
 * Two generations, as CLN keeps its failed lookups: when the young one is full or an hour old it becomes the old one, and the
 * old one is forgotten. Bound: 2 * 10,000 keys * (2 * 4 bytes of key + 8 of mark) * 2 for load = 640 KB. When full: turns over.
 */
import type { Clock } from '../base/time.ts';
import { ScidTable } from './scid_table.ts';

export const REFUSED_GENERATION_ENTRIES = 10_000;
export const REFUSED_GENERATION_MS = 3_600_000;

export class RefusedMemory {
  readonly #clock: Clock;
  #young = new ScidTable<number>();
  #old = new ScidTable<number>();
  #bornMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#bornMs = clock.monotonicMs();
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** @param mark what the key was refused for: 0 for good, else the caller's own number */
  remember(hi: number, lo: number, mark = 0): void {
    this.#turnOver();
    this.#young.set(hi, lo, mark);
  }

  /** The mark it was last remembered with; undefined when it is not remembered. */
  find(hi: number, lo: number): number | undefined {
    if (this.#young.size === 0 && this.#old.size === 0) return undefined;
    this.#turnOver();
    return this.#young.get(hi, lo) ?? this.#old.get(hi, lo);
  }

  #turnOver(): void {
    const now = this.#clock.monotonicMs();
    const age = now - this.#bornMs;
    if (age < REFUSED_GENERATION_MS && this.#young.size < REFUSED_GENERATION_ENTRIES) return;
    // After two quiet hours the young generation is out of date as well.
    this.#old = age < 2 * REFUSED_GENERATION_MS ? this.#young : new ScidTable<number>();
    this.#young = new ScidTable<number>();
    this.#bornMs = now;
  }
}
