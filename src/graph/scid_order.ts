/**
 * Channels sorted by short_channel_id, for range queries (BOLT 7, query_channel_range) and snapshots.
 *
 * The sorted index is made when somebody asks and kept until channels come or go; then the next question merges: what
 * left is dropped, what came is sorted by itself, and both are joined, in time linear in the number of channels. The bit
 * STATE_IN_ORDER of a channel says that its entry in the index is current; reusing a slot clears it.
 * 4 bytes for each channel, and none before the first question.
 */
import { type ChannelColumns, STATE_IN_ORDER, STATE_LIVE } from './columns.ts';

/** From here on counting sort beats comparing: it clears four tables of 65,536 counters. */
const COUNTING_SORT_FROM_CHANNELS = 4096;

const compareScids = (columns: ChannelColumns, left: number, right: number): number => {
  const hi = (columns.scidHi[left] as number) - (columns.scidHi[right] as number);
  return hi !== 0 ? hi : (columns.scidLo[left] as number) - (columns.scidLo[right] as number);
};

/** Stable, least significant 16 bits first. */
const countingSort = (columns: ChannelColumns, channels: Int32Array): Int32Array => {
  let from: Int32Array = channels;
  let to: Int32Array = new Int32Array(channels.length);
  const starts = new Uint32Array(65537);
  for (let pass = 0; pass < 4; pass++) {
    const half = pass < 2 ? columns.scidLo : columns.scidHi;
    const shift = (pass & 1) * 16;
    starts.fill(0);
    for (const channel of from) {
      const digit = ((half[channel] as number) >>> shift) & 0xffff;
      starts[digit + 1] = (starts[digit + 1] as number) + 1;
    }
    for (let digit = 1; digit < 65536; digit++) {
      starts[digit] = (starts[digit] as number) + (starts[digit - 1] as number);
    }
    for (const channel of from) {
      const digit = ((half[channel] as number) >>> shift) & 0xffff;
      const place = starts[digit] as number;
      starts[digit] = place + 1;
      to[place] = channel;
    }
    [from, to] = [to, from];
  }
  return from;
};

export class ScidOrder {
  #sorted: Int32Array = new Int32Array(0);
  #stale = false;

  /** A channel came or went. */
  markStale(): void {
    this.#stale = true;
  }

  /** The live channels in ascending order; never written to afterwards. @param end one past the highest channel in use */
  sorted(columns: ChannelColumns, end: number, liveCount: number): Int32Array {
    if (this.#stale) this.#merge(columns, end, liveCount);
    return this.#sorted;
  }

  /** Goes on with a sorted index of all live channels, which have STATE_IN_ORDER. @param sorted kept */
  adopt(sorted: Int32Array): void {
    this.#sorted = sorted;
    this.#stale = false;
  }

  /** Bytes allocated. */
  memoryBytes(): number {
    return this.#sorted.byteLength;
  }

  #merge(columns: ChannelColumns, end: number, liveCount: number): void {
    const old = this.#sorted;
    const { state } = columns;
    let kept = 0;
    for (const channel of old) if (((state[channel] as number) & STATE_IN_ORDER) !== 0) kept++;
    const unsorted = new Int32Array(liveCount - kept);
    for (let channel = 0, found = 0; channel < end && found < unsorted.length; channel++) {
      if (((state[channel] as number) & (STATE_LIVE | STATE_IN_ORDER)) === STATE_LIVE)
        unsorted[found++] = channel;
    }
    const added =
      unsorted.length < COUNTING_SORT_FROM_CHANNELS
        ? unsorted.sort((left, right) => compareScids(columns, left, right))
        : countingSort(columns, unsorted);
    const merged = kept === 0 ? added : new Int32Array(liveCount);
    if (kept !== 0) {
      let next = 0;
      let count = 0;
      for (const channel of old) {
        if (((state[channel] as number) & STATE_IN_ORDER) === 0) continue;
        while (next < added.length && compareScids(columns, added[next] as number, channel) < 0) {
          merged[count++] = added[next++] as number;
        }
        merged[count++] = channel;
      }
      merged.set(added.subarray(next), count);
    }
    for (const channel of added) state[channel] = (state[channel] as number) | STATE_IN_ORDER;
    this.#sorted = merged;
    this.#stale = false;
  }
}

/** Position of the first channel at or above a block height. */
export const firstAtBlock = (columns: ChannelColumns, sorted: Int32Array, block: number): number => {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((columns.scidHi[sorted[middle] as number] as number) >>> 8 < block) low = middle + 1;
    else high = middle;
  }
  return low;
};
