/** Amounts. `Sat` and `Msat` are branded bigints at the edges; columns hold doubles, exact up to 2^53. */

export type Sat = bigint & { readonly __brand: 'Sat' };
export type Msat = bigint & { readonly __brand: 'Msat' };

/** All satoshis that can exist: 21 million bitcoin (BOLT 1, B1-12: 0x000775f05a074000). */
export const MAX_SAT = 2_100_000_000_000_000n;
/** The same in millisatoshi (0x1d24b2dfac520000). */
export const MAX_MSAT = MAX_SAT * 1000n;

export const sat = (value: bigint): Sat => value as Sat;
export const msat = (value: bigint): Msat => value as Msat;
