/**
 * The arrays of BOLT 7's query messages: short_channel_ids, query flags, timestamps and checksums.
 *
 * All but the checksums open with an encoding byte, of which only 0 (plain) is valid; 1 was zlib and is forbidden (Q-03).
 * Arrays of numbers are copied into typed arrays in host order; flags stay a view of the message where they can.
 * Bound: an array is part of one message, so at most (65535 - 37) / 8 = 8187 short_channel_ids are ever allocated at once.
 */
import { readU32, writeU32 } from '../base/bytes.ts';
import { bigSizeBits, bigSizeBytes, bigSizeFault, bigSizeWidth, writeBigSize } from './bigsize.ts';
import type { WireFaultKind } from './fault.ts';

/** The only encoding type that there is. */
export const ENCODING_PLAIN = 0;

export const SCID_BYTES = 8;
/** Two u32, one for each direction of a channel. */
export const PAIR_BYTES = 8;

/** Where the lower half of a 64-bit element lies in the 32-bit view of a typed array: 0 on little-endian machines. */
const LOWER = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 0 : 1;

/** Reads `encoded_short_ids`, the encoding byte at `start`. Order and uniqueness are not checked. The array is a copy. */
export const readShortIds = (
  bytes: Uint8Array,
  start: number,
  end: number,
): BigUint64Array | WireFaultKind => {
  if (start === end || bytes[start] !== ENCODING_PLAIN) return 'bad_encoding';
  if ((end - start - 1) % SCID_BYTES !== 0) return 'bad_array_length';
  const ids = new BigUint64Array((end - start - 1) / SCID_BYTES);
  const halves = new Uint32Array(ids.buffer);
  for (let index = 0, at = start + 1; index < ids.length; index++, at += SCID_BYTES) {
    halves[index * 2 + 1 - LOWER] = readU32(bytes, at);
    halves[index * 2 + LOWER] = readU32(bytes, at + 4);
  }
  return ids;
};

/** Bytes of `encoded_short_ids`, with the encoding byte, for `count` ids. */
export const shortIdsBytes = (count: number): number => 1 + count * SCID_BYTES;

/** Writes `encoded_short_ids` at `at`, in the order given, and returns the index after it. BOLT 7 wants ascending order. */
export const writeShortIds = (bytes: Uint8Array, at: number, ids: BigUint64Array): number => {
  bytes[at] = ENCODING_PLAIN;
  const halves = new Uint32Array(ids.buffer, ids.byteOffset, ids.length * 2);
  let position = at + 1;
  for (let index = 0; index < ids.length; index++, position += SCID_BYTES) {
    writeU32(bytes, position, halves[index * 2 + 1 - LOWER] as number);
    writeU32(bytes, position + 4, halves[index * 2 + LOWER] as number);
  }
  return position;
};

/**
 * Reads `query_flags`, the encoding byte at `start`: exactly `count` BigSizes. When each takes one byte, as all
 * assigned flags do, the result is a view of `bytes`; else an array of the lower 53 bits of each.
 */
export const readQueryFlags = (
  bytes: Uint8Array,
  start: number,
  end: number,
  count: number,
): Uint8Array | number[] | WireFaultKind => {
  if (start === end || bytes[start] !== ENCODING_PLAIN) return 'bad_encoding';
  let [at, read] = [start + 1, 0];
  let wide: number[] | undefined;
  while (at < end) {
    if (read === count) return 'flags_count_mismatch';
    const width = bigSizeWidth(bytes, at, end);
    if (width <= 0) return bigSizeFault(width);
    if (width > 1) wide ??= Array.from(bytes.subarray(start + 1, at));
    wide?.push(bigSizeBits(bytes, at));
    at += width;
    read++;
  }
  if (read < count) return 'flags_count_mismatch';
  return wide ?? bytes.subarray(start + 1, end);
};

/** The value of a `query_flags` record, encoding byte included. */
export const encodeQueryFlags = (flags: Uint8Array | readonly number[]): Uint8Array => {
  let total = 1;
  for (const flag of flags) total += bigSizeBytes(flag);
  const bytes = new Uint8Array(total);
  bytes[0] = ENCODING_PLAIN;
  let at = 1;
  for (const flag of flags) at = writeBigSize(bytes, at, flag);
  return bytes;
};

/**
 * Reads two u32 for each of `count` channels, `node_id_1`'s first, from `bytes[start, end)`: `bad_array_length` when they
 * are no whole number of pairs, `flags_count_mismatch` when there is not one pair for each short_channel_id.
 */
export const readPairs = (
  bytes: Uint8Array,
  start: number,
  end: number,
  count: number,
): Uint32Array | WireFaultKind => {
  if ((end - start) % PAIR_BYTES !== 0) return 'bad_array_length';
  if ((end - start) / PAIR_BYTES !== count) return 'flags_count_mismatch';
  const numbers = new Uint32Array(count * 2);
  for (let index = 0; index < numbers.length; index++) numbers[index] = readU32(bytes, start + index * 4);
  return numbers;
};

/** The same after an encoding byte, as timestamps have one and checksums have none. */
export const readEncodedPairs = (
  bytes: Uint8Array,
  start: number,
  end: number,
  count: number,
): Uint32Array | WireFaultKind =>
  start === end || bytes[start] !== ENCODING_PLAIN ? 'bad_encoding' : readPairs(bytes, start + 1, end, count);

/** Writes u32s at `at` and returns the index after them. */
export const writePairs = (bytes: Uint8Array, at: number, numbers: Uint32Array): number => {
  let position = at;
  for (const number of numbers) {
    writeU32(bytes, position, number);
    position += 4;
  }
  return position;
};
