/**
 * HKDF of RFC 5869 over SHA-256 as BOLT 8 uses it: empty info, 64 bytes out (B8-06). For the handshake and for key rotation.
 */
import { createHmac } from 'node:crypto';

const FIRST = new Uint8Array([1]);
const SECOND = new Uint8Array([2]);

const hmac = (key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array => {
  const state = createHmac('sha256', key);
  for (const part of parts) state.update(part);
  return state.digest();
};

/** The two 32-byte halves of the output, fresh arrays: BOLT 8's `ck, k = HKDF(salt, ikm)`. */
export const hkdf = (salt: Uint8Array, inputKey: Uint8Array): readonly [Uint8Array, Uint8Array] => {
  const pseudoRandomKey = hmac(salt, inputKey);
  const first = hmac(pseudoRandomKey, FIRST);
  return [first, hmac(pseudoRandomKey, first, SECOND)];
};
