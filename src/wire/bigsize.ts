/**
 * BigSize: BOLT 1's variable-length unsigned integer, and the only one in its TLV streams.
 *
 * 1 byte below 0xfd; else a marker 0xfd, 0xfe or 0xff and 2, 4 or 8 big-endian bytes. Only the shortest form
 * is valid (B1-09).
 * Reading is in two steps that allocate nothing: `bigSizeWidth` checks bounds and minimality and gives the number of
 * bytes, then one of the value readers is called where the width was positive.
 */

import { readU16, readU32, readU64, writeU16, writeU32, writeU64 } from '../base/bytes.ts';
import { assert } from '../base/errors.ts';
import { type Decoded, type WireFaultKind, wireFault } from './fault.ts';

export const MAX_BIGSIZE = 0xffff_ffff_ffff_ffffn;

/** `bigSizeWidth` of a BigSize that runs past the end. */
export const BIGSIZE_TRUNCATED = 0;
/** `bigSizeWidth` of a BigSize that would fit a shorter form. */
export const BIGSIZE_NOT_MINIMAL = -1;

/** Bytes of the BigSize at `at` (1, 3, 5 or 9) within `bytes[0, end)`, or one of the two failures, neither positive. */
export const bigSizeWidth = (bytes: Uint8Array, at: number, end: number): number => {
  if (at >= end) return BIGSIZE_TRUNCATED;
  const marker = bytes[at] as number;
  if (marker < 0xfd) return 1;
  const width = marker === 0xfd ? 3 : marker === 0xfe ? 5 : 9;
  if (at + width > end) return BIGSIZE_TRUNCATED;
  const minimal =
    width === 3
      ? readU16(bytes, at + 1) >= 0xfd
      : width === 5
        ? readU16(bytes, at + 1) > 0
        : readU32(bytes, at + 1) > 0;
  return minimal ? width : BIGSIZE_NOT_MINIMAL;
};

/** The fault of a width that is not positive. */
export const bigSizeFault = (width: number): WireFaultKind =>
  width === BIGSIZE_TRUNCATED ? 'bigsize_truncated' : 'bigsize_not_minimal';

/** Upper 32 bits of the value at `at`, whose width has been checked. */
export const bigSizeHi = (bytes: Uint8Array, at: number): number =>
  bytes[at] === 0xff ? readU32(bytes, at + 1) : 0;

/** Lower 32 bits of the value at `at`, whose width has been checked. */
export const bigSizeLo = (bytes: Uint8Array, at: number): number => {
  const marker = bytes[at] as number;
  if (marker < 0xfd) return marker;
  if (marker === 0xfd) return readU16(bytes, at + 1);
  return readU32(bytes, marker === 0xfe ? at + 1 : at + 5);
};

/** The value at `at`, whose width has been checked, as a double: exact up to 2^53, rounded above. */
export const bigSizeNumber = (bytes: Uint8Array, at: number): number =>
  bigSizeHi(bytes, at) * 4294967296 + bigSizeLo(bytes, at);

/** The lower 53 bits of the value at `at`, whose width has been checked. For bit fields, in which rounding would do harm. */
export const bigSizeBits = (bytes: Uint8Array, at: number): number =>
  (bigSizeHi(bytes, at) & 0x1fffff) * 4294967296 + bigSizeLo(bytes, at);

/** Reads the BigSize at `at`: its exact value and its width in bytes. For edges; the fault's type is 0. */
export const decodeBigSize = (
  bytes: Uint8Array,
  at = 0,
): Decoded<{ readonly value: bigint; readonly width: number }> => {
  const width = bigSizeWidth(bytes, at, bytes.length);
  if (width <= 0) return wireFault(bigSizeFault(width), 0, at);
  const value = width === 9 ? readU64(bytes, at + 1) : BigInt(bigSizeLo(bytes, at));
  return { value, width };
};

/** Bytes that `value` takes. */
export const bigSizeBytes = (value: number | bigint): number =>
  value < 0xfd ? 1 : value < 0x10000 ? 3 : value < 0x100000000 ? 5 : 9;

/** Writes `value` at `at` and returns the index after it. A number must be a whole one up to 2^53. */
export const writeBigSize = (bytes: Uint8Array, at: number, value: number | bigint): number => {
  const width = bigSizeBytes(value);
  if (width === 1) bytes[at] = Number(value);
  else if (width === 3) {
    bytes[at] = 0xfd;
    writeU16(bytes, at + 1, Number(value));
  } else if (width === 5) {
    bytes[at] = 0xfe;
    writeU32(bytes, at + 1, Number(value));
  } else {
    bytes[at] = 0xff;
    writeU64(bytes, at + 1, BigInt(value));
  }
  return at + width;
};

/** The shortest form of `value`, which is in [0, 2^64). */
export const encodeBigSize = (value: number | bigint): Uint8Array => {
  assert(value >= 0 && value <= MAX_BIGSIZE, 'not an unsigned 64-bit integer');
  const bytes = new Uint8Array(bigSizeBytes(value));
  writeBigSize(bytes, 0, value);
  return bytes;
};
