/**
 * The AEAD of BOLT 8 frames, ChaCha20-Poly1305 without associated data (B8-07), as a port with two implementations:
 * libsodium through the optional dependency `sodium-native`, which writes into our buffers, and node:crypto, which is always there.
 *
 * cipher_state.ts uses what loadAead chose: libsodium when it is there and agrees with node:crypto on a self-test.
 */
import { bytesEqual } from '../base/bytes.ts';
import { nodeAead, TAG_BYTES } from './node_aead.ts';
import { openSodium } from './sodium_aead.ts';

export const KEY_BYTES = 32;

export interface Aead {
  readonly name: 'sodium' | 'node';
  /** Writes the ciphertext of `text` and its tag to `out` at `at`. `nonce` is below 2^32. */
  readonly seal: (key: Uint8Array, nonce: number, text: Uint8Array, out: Uint8Array, at: number) => void;
  /**
   * The text of `bytes[from, to)`, whose last 16 bytes are its tag, as a view of the front of `scratch` (large enough for it) or as
   * a fresh array; undefined if the tag is wrong, and then nothing of it is handed out.
   */
  readonly open: (
    key: Uint8Array,
    nonce: number,
    bytes: Uint8Array,
    from: number,
    to: number,
    scratch: Uint8Array,
  ) => Uint8Array | undefined;
}

/** Undefined when the candidate agrees with node:crypto in both directions and refuses a wrong tag, else what went wrong. */
export const selfTest = (candidate: Aead): string | undefined => {
  const key = Uint8Array.from({ length: KEY_BYTES }, (_, index) => (index * 89 + 7) & 0xff);
  for (const length of [0, 1, 2, 15, 16, 17, 63, 64, 65, 138, 430, 1_500]) {
    const text = Uint8Array.from({ length }, (_, index) => (index * 167 + length) & 0xff);
    const [sealed, expected] = [new Uint8Array(length + TAG_BYTES), new Uint8Array(length + TAG_BYTES)];
    const scratch = new Uint8Array(length);
    candidate.seal(key, 999 - length, text, sealed, 0);
    nodeAead.seal(key, 999 - length, text, expected, 0);
    if (!bytesEqual(sealed, expected)) return `other ciphertext for ${length} bytes`;
    const opened = candidate.open(key, 999 - length, sealed, 0, sealed.length, scratch);
    if (opened === undefined || !bytesEqual(opened, text)) return `cannot open ${length} bytes`;
    sealed[length] = (sealed[length] as number) ^ 1;
    if (candidate.open(key, 999 - length, sealed, 0, sealed.length, scratch) !== undefined) {
      return `opens ${length} bytes with a wrong tag`;
    }
  }
  return undefined;
};

let chosen: Aead | undefined;

/** The fastest implementation that works on this machine; loaded and tested once. */
export const loadAead = (): Aead => {
  if (chosen === undefined) {
    const sodium = openSodium();
    chosen = sodium !== undefined && selfTest(sodium) === undefined ? sodium : nodeAead;
  }
  return chosen;
};
