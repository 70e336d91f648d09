/**
 * Positions in a store file, many of them, in few bytes: a list, a set, and a map to numbers.
 *
 * The plan fills them in any order and seals them; the writer asks in nearly ascending order. 8 bytes an entry (16 in the
 * map), grown by doubling, so that a file of many millions of broken records costs megabytes and not objects.
 * Positions are doubles: exact beyond 4 GiB.
 */
import { assert } from '../base/errors.ts';

const INITIAL_ENTRIES = 256;

const grown = (values: Float64Array): Float64Array<ArrayBuffer> => {
  const larger = new Float64Array(values.length * 2);
  larger.set(values);
  return larger;
};

/** Numbers in the order in which they came. */
export class NumberList {
  #values = new Float64Array(INITIAL_ENTRIES);
  #size = 0;

  push(value: number): void {
    if (this.#size === this.#values.length) this.#values = grown(this.#values);
    this.#values[this.#size++] = value;
  }

  get size(): number {
    return this.#size;
  }

  at(index: number): number {
    return this.#values[index] as number;
  }
}

/** Index of the first of `values[0, size)` that is not below `wanted`; looks near `near` first. */
const lowerBound = (values: Float64Array, size: number, wanted: number, near: number): number => {
  let low = 0;
  let high = size;
  if (near <= size && (near === 0 || (values[near - 1] as number) < wanted)) {
    // What is asked for in ascending order is found within a step or two of the last answer.
    low = near;
    for (let step = 1; low < size; step *= 2) {
      const probe = Math.min(low + step, size) - 1;
      if ((values[probe] as number) >= wanted) {
        high = probe;
        break;
      }
      low = probe + 1;
    }
    if (low >= size) return size;
  }
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
};

export class PositionSet {
  #values = new Float64Array(INITIAL_ENTRIES);
  #size = 0;
  #sealed = true;
  #near = 0;

  add(position: number): void {
    if (this.#size === this.#values.length) this.#values = grown(this.#values);
    if (this.#size > 0 && (this.#values[this.#size - 1] as number) >= position) this.#sealed = false;
    this.#values[this.#size++] = position;
  }

  /** Sorts what was added, each once. Cheap when it came in ascending order. */
  seal(): void {
    this.#near = 0;
    if (this.#sealed) return;
    const values = this.#values.subarray(0, this.#size).sort();
    let kept = 0;
    for (let index = 0; index < values.length; index++) {
      if (index === 0 || values[index] !== values[index - 1]) values[kept++] = values[index] as number;
    }
    this.#size = kept;
    this.#sealed = true;
  }

  /** Of a sealed set. */
  has(position: number): boolean {
    if (this.#size === 0) return false;
    assert(this.#sealed, 'a set of positions is asked before it is sealed');
    this.#near = lowerBound(this.#values, this.#size, position, this.#near);
    return this.#near < this.#size && this.#values[this.#near] === position;
  }

  get size(): number {
    return this.#size;
  }

  /** In ascending order once sealed. */
  each(visit: (position: number) => void): void {
    for (let index = 0; index < this.#size; index++) visit(this.#values[index] as number);
  }
}

/** Position -> number; a later entry for one position replaces the earlier one. */
export class PositionMap {
  #keys = new Float64Array(INITIAL_ENTRIES);
  #values = new Float64Array(INITIAL_ENTRIES);
  #size = 0;
  #sealed = true;
  #near = 0;

  set(position: number, value: number): void {
    if (this.#size === this.#keys.length) {
      this.#keys = grown(this.#keys);
      this.#values = grown(this.#values);
    }
    if (this.#size > 0 && (this.#keys[this.#size - 1] as number) >= position) this.#sealed = false;
    this.#keys[this.#size] = position;
    this.#values[this.#size++] = value;
  }

  seal(): void {
    this.#near = 0;
    if (this.#sealed) return;
    const [keys, values] = [this.#keys, this.#values];
    const order = Uint32Array.from({ length: this.#size }, (_, index) => index);
    order.sort((left, right) => (keys[left] as number) - (keys[right] as number) || left - right);
    const [sortedKeys, sortedValues] = [new Float64Array(keys.length), new Float64Array(keys.length)];
    let kept = 0;
    for (const index of order) {
      if (kept > 0 && sortedKeys[kept - 1] === keys[index]) kept--;
      sortedKeys[kept] = keys[index] as number;
      sortedValues[kept++] = values[index] as number;
    }
    this.#keys = sortedKeys;
    this.#values = sortedValues;
    this.#size = kept;
    this.#sealed = true;
  }

  /** Of a sealed map. */
  get(position: number): number | undefined {
    if (this.#size === 0) return undefined;
    assert(this.#sealed, 'a map of positions is asked before it is sealed');
    this.#near = lowerBound(this.#keys, this.#size, position, this.#near);
    return this.#near < this.#size && this.#keys[this.#near] === position
      ? this.#values[this.#near]
      : undefined;
  }

  get size(): number {
    return this.#size;
  }

  /** In ascending order once sealed. */
  each(visit: (position: number, value: number) => void): void {
    for (let index = 0; index < this.#size; index++)
      visit(this.#keys[index] as number, this.#values[index] as number);
  }
}
