/**
 * OffsetMap: where the records of an old store file are in its successor.
 *
 * rewrite.ts fills it while it copies; the store then moves the graph, pending marks and cursors with it. One entry per run of
 * kept records that lie side by side in both files, in ascending order: a sound file of version 16 that loses some records
 * has about one run for each of these, and an upgrade from the 8-byte headers of early versions one for each record.
 * 24 bytes a run, so 5 MB at most for a mainnet map of 200,000 records. Positions are exact beyond 4 GiB.
 */
import { assert } from '../base/errors.ts';
import { RECORD_HEADER_BYTES, type StoreOffset, storeOffset } from '../wire/store_record.ts';

const INITIAL_RUNS = 64;
/** A record that was not kept: no message lies at offset 0. */
const NOWHERE: StoreOffset = storeOffset(0);

export class OffsetMap {
  readonly #oldHeaderBytes: number;
  /** Header positions at which run i starts in the old and the new file, and its length in the old one. */
  #oldStarts = new Float64Array(INITIAL_RUNS);
  #newStarts = new Float64Array(INITIAL_RUNS);
  #lengths = new Float64Array(INITIAL_RUNS);
  #runs = 0;
  /** Of the last query, from which the next one starts looking. */
  #last = 0;
  #oldEnd = Number.POSITIVE_INFINITY;
  #newEnd = 0;

  /** @param oldHeaderBytes 8 or 12: how far behind its header position a record's offset is in the old file */
  constructor(oldHeaderBytes: number = RECORD_HEADER_BYTES) {
    this.#oldHeaderBytes = oldHeaderBytes;
  }

  get runs(): number {
    return this.#runs;
  }

  /**
   * A record, or several side by side, stays. Header positions, ascending from call to call.
   *
   * @param bytes length in the old file
   */
  keep(oldPosition: number, newPosition: number, bytes: number): void {
    const last = this.#runs - 1;
    this.#oldEnd = Number.POSITIVE_INFINITY;
    this.#newEnd = newPosition + bytes;
    if (last >= 0) {
      const length = this.#lengths[last] as number;
      const oldEnd = (this.#oldStarts[last] as number) + length;
      if (oldEnd === oldPosition && (this.#newStarts[last] as number) + length === newPosition) {
        this.#lengths[last] = length + bytes;
        return;
      }
      assert(oldPosition >= oldEnd, 'records must be kept in ascending order');
    }
    if (this.#runs === this.#oldStarts.length) this.#grow();
    this.#oldStarts[this.#runs] = oldPosition;
    this.#newStarts[this.#runs] = newPosition;
    this.#lengths[this.#runs] = bytes;
    this.#runs++;
  }

  /** What is or will be at or behind `oldEnd` keeps its distance from it. Holds until the next keep(). */
  setTail(oldEnd: number, newEnd: number): void {
    this.#oldEnd = oldEnd;
    this.#newEnd = newEnd;
  }

  /** The message's offset in the new file; 0 when the record was not kept. Constant time for nearly ascending queries. */
  translate(offset: StoreOffset): StoreOffset {
    const position = offset - this.#oldHeaderBytes;
    if (position >= this.#oldEnd) return this.#inNew(this.#newEnd + (position - this.#oldEnd));
    const run = this.#find(position);
    if (run < 0) return NOWHERE;
    const into = position - (this.#oldStarts[run] as number);
    if (into >= (this.#lengths[run] as number)) return NOWHERE;
    return this.#inNew((this.#newStarts[run] as number) + into);
  }

  /**
   * For readers that were about to read the record whose header is at `position`: the header position in the new file of
   * the first kept record at or behind it, or the new file's end. Never descends when `position` ascends.
   */
  translatePosition(position: number): number {
    if (position >= this.#oldEnd) return this.#newEnd + (position - this.#oldEnd);
    const run = this.#find(position);
    const next = run + 1 < this.#runs ? (this.#newStarts[run + 1] as number) : this.#newEnd;
    if (run < 0) return next;
    const into = position - (this.#oldStarts[run] as number);
    if (into >= (this.#lengths[run] as number)) return next;
    // A record that became shorter must not lead into the one behind it.
    return Math.min((this.#newStarts[run] as number) + into, next);
  }

  #inNew(position: number): StoreOffset {
    return storeOffset(position + RECORD_HEADER_BYTES);
  }

  /** The last run that starts at or in front of `position`; -1 if none does. */
  #find(position: number): number {
    const starts = this.#oldStarts;
    const startOf = (run: number): number =>
      run < this.#runs ? (starts[run] as number) : Number.POSITIVE_INFINITY;
    let low = -1;
    let high = this.#runs;
    const last = this.#last;
    if (startOf(last) <= position) {
      if (position < startOf(last + 1)) return last;
      if (position < startOf(last + 2)) {
        this.#last = last + 1;
        return last + 1;
      }
      low = last + 2;
    } else {
      high = Math.min(high, last);
    }
    // The wanted run is in [low, high), where -1 stands for none.
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((starts[middle] as number) <= position) low = middle;
      else high = middle;
    }
    if (low >= 0) this.#last = low;
    return low;
  }

  #grow(): void {
    const larger = (column: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> => {
      const grown = new Float64Array(column.length * 2);
      grown.set(column);
      return grown;
    };
    this.#oldStarts = larger(this.#oldStarts);
    this.#newStarts = larger(this.#newStarts);
    this.#lengths = larger(this.#lengths);
  }
}
