/**
 * ChaCha20-Poly1305 by libsodium, through the optional dependency `sodium-native`. It writes into the buffers it is given, so a frame
 * costs no allocation but views. Loaded by aead.ts, which tests it before anyone uses it.
 */
import { createRequire } from 'node:module';
import type { Aead } from './aead.ts';
import { TAG_BYTES } from './node_aead.ts';
import { nonceOf } from './nonce.ts';

/** What is used of the module; it ships no types. `decrypt` throws when the tag is wrong. */
interface SodiumModule {
  crypto_aead_chacha20poly1305_ietf_encrypt(
    out: Uint8Array,
    text: Uint8Array,
    associated: null,
    unused: null,
    nonce: Uint8Array,
    key: Uint8Array,
  ): number;
  crypto_aead_chacha20poly1305_ietf_decrypt(
    out: Uint8Array,
    unused: null,
    sealed: Uint8Array,
    associated: null,
    nonce: Uint8Array,
    key: Uint8Array,
  ): number;
}

/** Undefined when the package or its prebuilt module is missing on this machine. */
export const openSodium = (): Aead | undefined => {
  let sodium: SodiumModule;
  try {
    sodium = createRequire(import.meta.url)('sodium-native') as SodiumModule;
  } catch {
    return undefined;
  }
  return {
    name: 'sodium',
    seal: (key, nonce, text, out, at) => {
      const sealed = out.subarray(at, at + text.length + TAG_BYTES);
      sodium.crypto_aead_chacha20poly1305_ietf_encrypt(sealed, text, null, null, nonceOf(nonce), key);
    },
    open: (key, nonce, bytes, from, to, scratch) => {
      if (to - from < TAG_BYTES) return undefined;
      const text = scratch.subarray(0, to - from - TAG_BYTES);
      try {
        const sealed = bytes.subarray(from, to);
        sodium.crypto_aead_chacha20poly1305_ietf_decrypt(text, null, sealed, null, nonceOf(nonce), key);
      } catch {
        return undefined;
      }
      return text;
    },
  };
};
