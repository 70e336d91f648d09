/** Sizes of what signature engines take and give (BOLT 1, fundamental types `signature` and `point`). */

/** r then s, big-endian. */
export const SIGNATURE_BYTES = 64;
/** SEC 1, compressed. */
export const PUBLIC_KEY_BYTES = 33;
export const SECRET_KEY_BYTES = 32;
export const HASH_BYTES = 32;
