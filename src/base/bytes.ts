/**
 * Reading and writing big-endian integers and hex in byte arrays, and the ownership rule.
 *
 * Bytes called `raw` or `view` are borrowed until the handler that received them returns; `own()` makes a copy to keep.
 * Readers take an absolute offset and do no bounds check of their own: callers check lengths first.
 */

export const readU16 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) << 8) | (bytes[at + 1] as number);

export const readU32 = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)) >>>
  0;

export const readU64 = (bytes: Uint8Array, at: number): bigint =>
  (BigInt(readU32(bytes, at)) << 32n) | BigInt(readU32(bytes, at + 4));

/** An unsigned 64-bit integer as a double: exact up to 2^53, rounded above. For columns and statistics. */
export const readU64AsNumber = (bytes: Uint8Array, at: number): number =>
  readU32(bytes, at) * 4294967296 + readU32(bytes, at + 4);

export const writeU16 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
};

export const writeU32 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
};

export const writeU64 = (bytes: Uint8Array, at: number, value: bigint): void => {
  writeU32(bytes, at, Number((value >> 32n) & 0xffffffffn));
  writeU32(bytes, at + 4, Number(value & 0xffffffffn));
};

/** Copies borrowed bytes into an array of their own; a plain Uint8Array even when given a Buffer, whose slices would alias. */
export const own = (view: Uint8Array): Uint8Array => new Uint8Array(view);

/** Lexicographic order of unsigned bytes over `length` bytes: negative, zero or positive. */
export const compareBytes = (
  left: Uint8Array,
  leftAt: number,
  right: Uint8Array,
  rightAt: number,
  length: number,
): number => {
  for (let index = 0; index < length; index++) {
    const difference = (left[leftAt + index] as number) - (right[rightAt + index] as number);
    if (difference !== 0) return difference;
  }
  return 0;
};

/** True if both arrays have the same length and content. */
export const bytesEqual = (left: Uint8Array, right: Uint8Array): boolean =>
  left.length === right.length && compareBytes(left, 0, right, 0, left.length) === 0;

export const concatBytes = (...parts: readonly Uint8Array[]): Uint8Array => {
  const joined = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
};

const HEX = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, '0'));

/** Lowercase hex of `bytes[start, end)`. */
export const toHex = (bytes: Uint8Array, start = 0, end = bytes.length): string => {
  let text = '';
  for (let index = start; index < end; index++) text += HEX[bytes[index] as number];
  return text;
};

/** Undefined when the text is not an even number of hex digits. */
export const fromHex = (text: string): Uint8Array | undefined => {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = Number.parseInt(text.slice(index * 2, index * 2 + 2), 16);
  }
  return bytes;
};
