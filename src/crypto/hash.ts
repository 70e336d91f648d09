/**
 * SHA-256, once and twice: funding scripts, the BOLT 8 transcript, and what gossip signatures sign (BOLT 7: the double
 * SHA-256 of the part of the message after the signatures).
 *
 * One-shot crypto.hash (Node 20.12) does about twice the work per second of createHash on messages of gossip's size.
 */
import * as nodeCrypto from 'node:crypto';

const oneShot = (nodeCrypto as Partial<typeof nodeCrypto>).hash;

/** 32 bytes, a fresh array; the input is borrowed for the call. */
export const sha256: (bytes: Uint8Array) => Uint8Array =
  oneShot === undefined
    ? (bytes) => nodeCrypto.createHash('sha256').update(bytes).digest()
    : (bytes) => oneShot('sha256', bytes, 'buffer');

/** SHA-256 of the SHA-256: 32 bytes, a fresh array. */
export const doubleSha256 = (bytes: Uint8Array): Uint8Array => sha256(sha256(bytes));
