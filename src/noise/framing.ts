/**
 * Transport: messages to frames and back, after the handshake (BOLT 8, Lightning Message Specification; B8-14 to B8-18).
 *
 * handshake.ts makes one per connection; peer/connection hands it messages to encrypt and ciphertext as it arrives, split
 * anywhere, and gets whole messages as borrowed views. A frame is an 18-byte encrypted length and the encrypted message
 * with its 16-byte tag.
 * Bounds: held ciphertext is one part of a frame, at most 65,551 bytes, while reading; while paused also what is fed in
 * then, up to MAX_HELD_BYTES in all. A frame that lies inside one chunk is decrypted from where it is, without a copy.
 */
import { readU16, writeU16 } from '../base/bytes.ts';
import { assert } from '../base/errors.ts';
import { CipherState } from './cipher_state.ts';
import { TAG_BYTES } from './node_aead.ts';

/** BOLT 8: the longest message. */
export const MAX_MESSAGE_BYTES = 65_535;
const LENGTH_BYTES = 2;
const LENGTH_PART_BYTES = LENGTH_BYTES + TAG_BYTES;
/** What a frame adds to its message: 18 + 16. */
export const FRAME_OVERHEAD_BYTES = LENGTH_PART_BYTES + TAG_BYTES;
/**
 * Most ciphertext that is held: the rest of the chunk that was being read when the reader paused, a part of a frame before
 * it, and the chunks (at most 64 KiB each) that a socket hands out before its own pause works. 1 MiB is room for 15 of them;
 * a caller that feeds on regardless has `receive` return false.
 */
export const MAX_HELD_BYTES = 1_048_576;
/** A held buffer that was grown beyond this is given back when it is empty. */
const KEPT_BUFFER_BYTES = 4_096;

const NOTHING = new Uint8Array(0);

export interface TransportKeys {
  /** 32 bytes each, as the handshake ends: both directions start from the same chaining key. */
  readonly chainingKey: Uint8Array;
  readonly sendingKey: Uint8Array;
  readonly receivingKey: Uint8Array;
}

/** Gets each message once, in order. The view is borrowed until it returns; it must not call `receive`. */
export type OnMessage = (raw: Uint8Array) => void;

export class Transport {
  readonly #sending: CipherState;
  readonly #receiving: CipherState;
  readonly #length = new Uint8Array(LENGTH_BYTES);
  /** Held ciphertext is `#held[#heldFrom, #heldTo)`. */
  #held = NOTHING;
  #heldFrom = 0;
  #heldTo = 0;
  /** Bytes of the part that comes next: 18 for a length, else message and tag. */
  #partBytes = LENGTH_PART_BYTES;
  #atLength = true;
  /** Where texts are opened, grown to the usual size of this peer's messages. */
  #scratch = new Uint8Array(LENGTH_BYTES);
  #paused = false;
  #failed = false;
  #delivering = false;

  constructor(keys: TransportKeys) {
    this.#sending = new CipherState(keys.chainingKey, keys.sendingKey);
    this.#receiving = new CipherState(keys.chainingKey, keys.receivingKey);
  }

  /** Ciphertext received and not yet delivered, in bytes. */
  get bufferedBytes(): number {
    return this.#heldTo - this.#heldFrom;
  }

  /** The frame of one message, 34 bytes longer than it, in one fresh array. Throws Bug above MAX_MESSAGE_BYTES (B8-14). */
  encrypt(message: Uint8Array): Uint8Array {
    const frame = new Uint8Array(message.length + FRAME_OVERHEAD_BYTES);
    this.#write(message, frame, 0);
    return frame;
  }

  /** The frames of several messages, one after another, in one fresh array. */
  encryptMany(messages: readonly Uint8Array[]): Uint8Array {
    let bytes = 0;
    for (const message of messages) bytes += message.length + FRAME_OVERHEAD_BYTES;
    const frames = new Uint8Array(bytes);
    let at = 0;
    for (const message of messages) at = this.#write(message, frames, at);
    return frames;
  }

  /**
   * Takes the next bytes of the stream, borrowed for the call, and delivers every message that they complete, unless paused.
   * False when a tag is wrong (B8-18), more is held than MAX_HELD_BYTES, or either happened before: nothing of this stream
   * is delivered any more, close the connection.
   */
  receive(chunk: Uint8Array, onMessage: OnMessage): boolean {
    assert(!this.#delivering, 'a message handler must not feed its own transport');
    if (this.#failed) return false;
    const at = this.#fillHeld(chunk, onMessage);
    if (this.#failed) return false;
    const rest = this.#deliver(chunk, at, chunk.length, onMessage);
    if (!this.#failed && rest < chunk.length) this.#hold(chunk, rest, chunk.length);
    return !this.#failed;
  }

  /** No message is delivered until `resume`. May be called by a message handler: its message is the last one for now. */
  pause(): void {
    this.#paused = true;
  }

  /** Delivers what was held, as far as it makes whole messages and nobody pauses again. Result as of `receive`. */
  resume(onMessage: OnMessage): boolean {
    this.#paused = false;
    // From within a handler: the delivery under way simply goes on.
    if (!this.#delivering && !this.#failed) this.#deliverHeld(onMessage);
    return !this.#failed;
  }

  #write(message: Uint8Array, out: Uint8Array, at: number): number {
    assert(message.length <= MAX_MESSAGE_BYTES, 'the message is too long for a frame');
    writeU16(this.#length, 0, message.length);
    this.#sending.seal(this.#length, out, at);
    this.#sending.seal(message, out, at + LENGTH_PART_BYTES);
    return at + message.length + FRAME_OVERHEAD_BYTES;
  }

  /** Delivers what is held, completing it from the chunk part by part; returns how much of the chunk that took. */
  #fillHeld(chunk: Uint8Array, onMessage: OnMessage): number {
    let at = 0;
    while (this.bufferedBytes > 0 && !this.#paused && !this.#failed) {
      const missing = this.#partBytes - this.bufferedBytes;
      if (missing > 0) {
        const end = Math.min(chunk.length, at + missing);
        this.#hold(chunk, at, end);
        at = end;
        if (this.bufferedBytes < this.#partBytes) return at;
      }
      this.#deliverHeld(onMessage);
    }
    return at;
  }

  #deliverHeld(onMessage: OnMessage): void {
    this.#heldFrom = this.#deliver(this.#held, this.#heldFrom, this.#heldTo, onMessage);
    if (this.#heldFrom < this.#heldTo && !this.#failed) return;
    this.#heldFrom = 0;
    this.#heldTo = 0;
    if (this.#held.length > KEPT_BUFFER_BYTES) this.#held = NOTHING;
  }

  /** Decrypts and delivers the whole parts of `bytes[from, to)` while not paused; returns where it stopped. */
  #deliver(bytes: Uint8Array, from: number, to: number, onMessage: OnMessage): number {
    let at = from;
    this.#delivering = true;
    try {
      while (!this.#paused && to - at >= this.#partBytes) {
        const end = at + this.#partBytes;
        const text = this.#receiving.open(bytes, at, end, this.#scratchFor(this.#partBytes - TAG_BYTES));
        if (text === undefined) {
          this.#failed = true;
          break;
        }
        at = end;
        this.#atLength = !this.#atLength;
        if (this.#atLength) {
          this.#partBytes = LENGTH_PART_BYTES;
          onMessage(text);
        } else this.#partBytes = readU16(text, 0) + TAG_BYTES;
      }
      return at;
    } catch (error) {
      // A Bug of the handler's: where the stream stands is not known any more.
      this.#failed = true;
      throw error;
    } finally {
      this.#delivering = false;
    }
  }

  #scratchFor(bytes: number): Uint8Array {
    if (bytes <= this.#scratch.length) return this.#scratch;
    // A thousand idle connections must not each keep room for the longest message.
    if (bytes > KEPT_BUFFER_BYTES) return new Uint8Array(bytes);
    this.#scratch = new Uint8Array(Math.max(bytes, 512));
    return this.#scratch;
  }

  /** Copies `chunk[from, to)` behind what is held. */
  #hold(chunk: Uint8Array, from: number, to: number): void {
    const bytes = this.bufferedBytes + to - from;
    if (bytes > MAX_HELD_BYTES) {
      this.#failed = true;
      return;
    }
    if (this.#heldTo + to - from > this.#held.length) this.#makeRoom(bytes);
    this.#held.set(chunk.subarray(from, to), this.#heldTo);
    this.#heldTo += to - from;
  }

  /** Moves what is held to the front, of a larger buffer if need be. */
  #makeRoom(bytes: number): void {
    const held = this.#held.subarray(this.#heldFrom, this.#heldTo);
    // At least the whole part that is being gathered; and twice as much as before, so that many small chunks cost little.
    const capacity = Math.max(bytes, this.#partBytes, Math.min(this.#held.length * 2, MAX_HELD_BYTES));
    const next = bytes <= this.#held.length ? this.#held : new Uint8Array(capacity);
    next.set(held, 0);
    this.#heldTo -= this.#heldFrom;
    this.#heldFrom = 0;
    this.#held = next;
  }
}
