/**
 * The two 32-bit halves of short_channel_ids in a BigUint64Array, without making a bigint for each: a message carries
 * thousands, and graph and tables look them up by halves.
 */

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Where the upper and the lower half of number `i` are in the view: `2 * i + HI` and `2 * i + LO`. */
export const HI = LITTLE_ENDIAN ? 1 : 0;
export const LO = 1 - HI;

/** A view on the same memory, two entries for each short_channel_id. */
export const halvesOf = (scids: BigUint64Array): Uint32Array =>
  new Uint32Array(scids.buffer, scids.byteOffset, scids.length * 2);

/** Order of two short_channel_ids by halves: negative, zero or positive. */
export const compareHalves = (leftHi: number, leftLo: number, rightHi: number, rightLo: number): number =>
  leftHi !== rightHi ? leftHi - rightHi : leftLo - rightLo;
