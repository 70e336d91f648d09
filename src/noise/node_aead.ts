/**
 * ChaCha20-Poly1305 of RFC 8439 by node:crypto (OpenSSL).
 *
 * handshake.ts uses it for the three acts, which have associated data; aead.ts as the fallback for frames and as the judge of the
 * other implementation. About 4 us a call, most of it for OpenSSL's objects; 2 GB/s on long texts.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { Aead } from './aead.ts';
import { nonceOf } from './nonce.ts';

const ALGORITHM = 'chacha20-poly1305';
export const TAG_BYTES = 16;
const OPTIONS = { authTagLength: TAG_BYTES } as const;
const NOTHING = new Uint8Array(0);

/** Writes the ciphertext and its 16-byte tag to `out` at `at`. `nonce` is below 2^32. */
export const nodeSeal = (
  key: Uint8Array,
  nonce: number,
  text: Uint8Array,
  out: Uint8Array,
  at: number,
  associated: Uint8Array = NOTHING,
): void => {
  const cipher = createCipheriv(ALGORITHM, key, nonceOf(nonce), OPTIONS);
  if (associated.length > 0) cipher.setAAD(associated, { plaintextLength: text.length });
  out.set(cipher.update(text), at);
  cipher.final();
  out.set(cipher.getAuthTag(), at + text.length);
};

/** The text of `sealed`, which ends with its tag, as a fresh array; undefined if the tag is wrong. */
export const nodeOpen = (
  key: Uint8Array,
  nonce: number,
  sealed: Uint8Array,
  associated: Uint8Array = NOTHING,
): Uint8Array | undefined => {
  const textBytes = sealed.length - TAG_BYTES;
  if (textBytes < 0) return undefined;
  const decipher = createDecipheriv(ALGORITHM, key, nonceOf(nonce), OPTIONS);
  if (associated.length > 0) decipher.setAAD(associated, { plaintextLength: textBytes });
  decipher.setAuthTag(sealed.subarray(textBytes));
  const text = decipher.update(sealed.subarray(0, textBytes));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return text;
};

export const nodeAead: Aead = {
  name: 'node',
  seal: nodeSeal,
  open: (key, nonce, bytes, from, to) => nodeOpen(key, nonce, bytes.subarray(from, to)),
};
