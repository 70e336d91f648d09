/**
 * The Rng of the running machine, fit for keys: everything comes from the operating system through node:crypto.
 * Fractions are cut from a pool of POOL_BYTES, refilled when empty, because a call for each one costs a microsecond.
 */
import { randomFillSync } from 'node:crypto';
import { readU32 } from '../base/bytes.ts';
import type { Rng } from '../base/rng.ts';

const POOL_BYTES = 1024;
/** A double has 53 bits: 21 from one word, 32 from the next. */
const FRACTION_BYTES = 8;

export const systemRng = (): Rng => {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  return {
    bytes: (length) => randomFillSync(new Uint8Array(length)),
    fraction: () => {
      if (used === POOL_BYTES) {
        randomFillSync(pool);
        used = 0;
      }
      const high = readU32(pool, used) >>> 11;
      const low = readU32(pool, used + 4);
      used += FRACTION_BYTES;
      return (high * 4_294_967_296 + low) / 9_007_199_254_740_992;
    },
  };
};
