/** The nonce of BOLT 8: four zero bytes, then a 64-bit little-endian counter (B8-07), of which 32 bits are used. */

// One set of bytes for all: each call writes it anew, and the cipher copies it.
const bytes = new Uint8Array(12);

/** Borrowed until the next call. @param counter below 2^32; keys rotate at 1,000 */
export const nonceOf = (counter: number): Uint8Array => {
  bytes[4] = counter;
  bytes[5] = counter >>> 8;
  bytes[6] = counter >>> 16;
  bytes[7] = counter >>> 24;
  return bytes;
};
