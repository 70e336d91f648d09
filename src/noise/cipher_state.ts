/**
 * One direction of an encrypted connection: key, chaining key and nonce, with the key rotation of BOLT 8 (B8-16, B8-17).
 *
 * framing.ts has two, made from the handshake's keys. A key is used for 1000 texts, that is 500 messages, then overwritten.
 */
import { own } from '../base/bytes.ts';
import { type Aead, loadAead } from './aead.ts';
import { hkdf } from './hkdf.ts';

/** BOLT 8, Lightning Message Key Rotation. */
export const TEXTS_PER_KEY = 1000;

export class CipherState {
  readonly #aead: Aead;
  #chainingKey: Uint8Array;
  #key: Uint8Array;
  #nonce = 0;

  /** 32 bytes each; copied. The implementation is given by tests only. */
  constructor(chainingKey: Uint8Array, key: Uint8Array, aead: Aead = loadAead()) {
    this.#aead = aead;
    this.#chainingKey = own(chainingKey);
    this.#key = own(key);
  }

  /** Writes `text.length + 16` bytes to `out` at `at`. */
  seal(text: Uint8Array, out: Uint8Array, at: number): void {
    this.#aead.seal(this.#key, this.#nonce, text, out, at);
    this.#advance();
  }

  /** As `Aead.open`. After undefined the stream is lost: the nonce has not moved, and the caller must stop. */
  open(bytes: Uint8Array, from: number, to: number, scratch: Uint8Array): Uint8Array | undefined {
    const text = this.#aead.open(this.#key, this.#nonce, bytes, from, to, scratch);
    if (text !== undefined) this.#advance();
    return text;
  }

  #advance(): void {
    this.#nonce++;
    if (this.#nonce < TEXTS_PER_KEY) return;
    const [chainingKey, key] = hkdf(this.#chainingKey, this.#key);
    this.#key.fill(0);
    this.#chainingKey = chainingKey;
    this.#key = key;
    this.#nonce = 0;
  }
}
