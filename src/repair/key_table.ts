/** KeyTable: NumberedKeys, each with a few numbers that are 0 at first, for a pass over a store of any size. */
import type { Rng } from '../base/rng.ts';
import { INITIAL_KEYS, NumberedKeys } from './numbered_keys.ts';

export class KeyTable {
  readonly #keys: NumberedKeys;
  readonly #columns: number;
  #numbers: Float64Array;

  /** @param keyBytes 8 for a short_channel_id, 33 for a node id @param columns numbers for each key */
  constructor(keyBytes: number, columns: number, rng: Rng) {
    this.#keys = new NumberedKeys(rng, keyBytes, Number.POSITIVE_INFINITY);
    this.#columns = columns;
    this.#numbers = new Float64Array(INITIAL_KEYS * columns);
  }

  get size(): number {
    return this.#keys.count;
  }

  /** The number of the key that starts at `at`, or -1. */
  find(bytes: Uint8Array, at: number): number {
    return this.#keys.find(bytes, at);
  }

  /** The key's number, given to it now if it has none. */
  add(bytes: Uint8Array, at: number): number {
    const number = this.#keys.add(bytes, at);
    if ((number + 1) * this.#columns > this.#numbers.length) {
      const numbers = new Float64Array(this.#numbers.length * 2);
      numbers.set(this.#numbers);
      this.#numbers = numbers;
    }
    return number;
  }

  get(number: number, column: number): number {
    return this.#numbers[number * this.#columns + column] as number;
  }

  set(number: number, column: number, value: number): void {
    this.#numbers[number * this.#columns + column] = value;
  }
}
