/**
 * short_channel_id: where a channel's funding output sits in the chain (BOLT 7, Definition of short_channel_id).
 *
 * 64 bits: 24 bits block height, 24 bits transaction index in the block, 16 bits output index, big-endian on the wire.
 * At the edges it is a branded bigint or the text `539268x845x1`; hot paths carry the two 32-bit halves `hi` and `lo`.
 */

export type ShortChannelId = bigint & { readonly __brand: 'ShortChannelId' };

/** Brands a 64-bit value; the caller vouches that it is in [0, 2^64). */
export const scidFromBigint = (value: bigint): ShortChannelId => value as ShortChannelId;

/** Joins the two unsigned 32-bit halves. */
export const scidFromHalves = (hi: number, lo: number): ShortChannelId =>
  scidFromBigint((BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0));

/** @param block 24 bits @param transaction 24 bits @param output 16 bits */
export const scidFromParts = (block: number, transaction: number, output: number): ShortChannelId =>
  scidFromBigint((BigInt(block) << 40n) | (BigInt(transaction) << 16n) | BigInt(output));

/** The upper 32 bits, unsigned. */
export const scidHi = (scid: ShortChannelId): number => Number(scid >> 32n);

/** The lower 32 bits, unsigned. */
export const scidLo = (scid: ShortChannelId): number => Number(scid & 0xffffffffn);

/** Block height of the funding transaction, from the upper half. */
export const scidBlock = (hi: number): number => hi >>> 8;

/** Transaction index, from both halves. */
export const scidTransaction = (hi: number, lo: number): number => (((hi & 0xff) << 16) | (lo >>> 16)) >>> 0;

/** Output index, from the lower half. */
export const scidOutput = (lo: number): number => lo & 0xffff;

/** `BLOCKxTXxOUT` (B7-41). */
export const scidText = (hi: number, lo: number): string =>
  `${scidBlock(hi)}x${scidTransaction(hi, lo)}x${scidOutput(lo)}`;

/** `BLOCKxTXxOUT` (B7-41). */
export const scidToText = (scid: ShortChannelId): string => scidText(scidHi(scid), scidLo(scid));

/** Reads the three spellings in use: `539268x845x1`, `539268:845:1` and the decimal 64-bit number. Undefined if it is none. */
export const parseScid = (text: string): ShortChannelId | undefined => {
  const parts = /^(\d{1,8})[x:](\d{1,8})[x:](\d{1,5})$/.exec(text.trim());
  if (parts !== null) {
    const [block, transaction, output] = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
    if (block > 0xffffff || transaction > 0xffffff || output > 0xffff) return undefined;
    return scidFromParts(block, transaction, output);
  }
  if (!/^\d{1,20}$/.test(text.trim())) return undefined;
  const value = BigInt(text.trim());
  return value < 1n << 64n ? scidFromBigint(value) : undefined;
};
