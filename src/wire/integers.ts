/**
 * The less common integers of BOLT 1's Fundamental Types: truncated unsigned (tu16, tu32, tu64) and signed (s8 to s64).
 *
 * Truncated ones are the last field of a TLV record: zero to 2, 4 or 8 big-endian bytes without leading zeros (B1-11).
 * Signed ones are big-endian two's complement (B1-28). Values are bigints: these fields are rare and at the edges.
 */
import { assert } from '../base/errors.ts';
import type { WireFaultKind } from './fault.ts';

const readUnsigned = (bytes: Uint8Array, start: number, end: number): bigint => {
  let value = 0n;
  for (let at = start; at < end; at++) value = (value << 8n) | BigInt(bytes[at] as number);
  return value;
};

const writeUnsigned = (bytes: Uint8Array, value: bigint): void => {
  let rest = value;
  for (let at = bytes.length - 1; at >= 0; at--) {
    bytes[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
};

/**
 * Reads the truncated integer that fills `bytes[start, end)`. `maxBytes` is 2, 4 or 8. The fault is `tlv_bad_length` when
 * there are more bytes than that, `truncated_integer_not_minimal` when the first one is zero.
 */
export const readTruncated = (
  bytes: Uint8Array,
  start: number,
  end: number,
  maxBytes: 2 | 4 | 8,
): bigint | WireFaultKind => {
  if (end - start > maxBytes) return 'tlv_bad_length';
  if (end > start && bytes[start] === 0) return 'truncated_integer_not_minimal';
  return readUnsigned(bytes, start, end);
};

/** The 0 to 8 bytes of a truncated integer; `value` is in [0, 2^64). */
export const encodeTruncated = (value: bigint): Uint8Array => {
  assert(value >= 0n && value < 1n << 64n, 'not an unsigned 64-bit integer');
  let width = 0;
  while (value >> BigInt(8 * width) > 0n) width++;
  const bytes = new Uint8Array(width);
  writeUnsigned(bytes, value);
  return bytes;
};

/** Bytes of an s8, s16, s32 or s64. */
export type SignedWidth = 1 | 2 | 4 | 8;

/** Reads the `width` bytes at `at`; the caller has checked that they are there. */
export const readSigned = (bytes: Uint8Array, at: number, width: SignedWidth): bigint =>
  BigInt.asIntN(width * 8, readUnsigned(bytes, at, at + width));

/** The narrowest of the four widths that holds `value`, which is in [-2^63, 2^63). */
export const signedWidth = (value: bigint): SignedWidth => {
  if (BigInt.asIntN(8, value) === value) return 1;
  if (BigInt.asIntN(16, value) === value) return 2;
  return BigInt.asIntN(32, value) === value ? 4 : 8;
};

/** `value` in `width` bytes, by default the narrowest. Throws Bug when it does not fit. */
export const encodeSigned = (value: bigint, width: SignedWidth = signedWidth(value)): Uint8Array => {
  assert(BigInt.asIntN(width * 8, value) === value, 'signed integer out of range');
  const bytes = new Uint8Array(width);
  writeUnsigned(bytes, BigInt.asUintN(width * 8, value));
  return bytes;
};
