/**
 * The wrong CRC-32C of gossip_store versions 2 to 6: the right table, but nothing is inverted at the start or at the end.
 *
 * Inverting what goes into the right checksum and what comes out of it cancels its two inversions, so that is all that is
 * done here. A weakness to keep in mind: from seed 0, leading zero bytes do not change the value, and zeros alone give 0.
 */
import { crc32c } from './crc32c.ts';

/**
 * The checksum of `bytes[start, end)` continued from `seed`, unsigned.
 *
 * @param seed 0 where headers have 8 bytes, the header's timestamp where they have 12
 */
export const legacyCrc32c = (seed: number, bytes: Uint8Array, start: number, end: number): number =>
  ~crc32c(~seed, bytes, start, end) >>> 0;
