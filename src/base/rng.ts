/** Randomness as an argument: the daemon hands in the system's, tests and the simulator a seeded one. */

export interface Rng {
  /** A fresh array of random bytes. */
  readonly bytes: (length: number) => Uint8Array;
  /** Uniform in [0, 1). */
  readonly fraction: () => number;
}

/** A reproducible generator (xoshiro128**) for tests and simulation; not for keys of real nodes. */
export const seededRng = (seed: number): Rng => {
  // splitmix32 spreads the seed over the four words of state.
  let mixed = seed >>> 0;
  const split = (): number => {
    mixed = (mixed + 0x9e3779b9) >>> 0;
    let z = mixed;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
  let [a, b, c, d] = [split(), split(), split(), split()];
  const rotl = (value: number, by: number): number => ((value << by) | (value >>> (32 - by))) >>> 0;
  const next = (): number => {
    const result = Math.imul(rotl(Math.imul(b, 5) >>> 0, 7), 9) >>> 0;
    const t = (b << 9) >>> 0;
    c = (c ^ a) >>> 0;
    d = (d ^ b) >>> 0;
    b = (b ^ c) >>> 0;
    a = (a ^ d) >>> 0;
    c = (c ^ t) >>> 0;
    d = rotl(d, 11);
    return result;
  };
  return {
    fraction: () => next() / 4294967296,
    bytes: (length) => {
      const bytes = new Uint8Array(length);
      for (let index = 0; index < length; index++) bytes[index] = next() >>> 24;
      return bytes;
    },
  };
};
