/**
 * FileWindow: a sliding piece of a file in one buffer, for reading that may look ahead and come back.
 *
 * The salvage reader and its searches share one, so that what one has read the others need not read again. It slides
 * forward in large steps and keeps what lies behind `anchor` while there is room; going back in front of it costs another
 * read. Memory: the buffer that it is given, whatever the file's size. An index is good until the next call of `have`.
 */

import { assert } from '../base/errors.ts';
import type { StoreFile } from './store_file.ts';
import { MIN_WALK_BUFFER_BYTES } from './walker.ts';

export class FileWindow {
  readonly bytes: Uint8Array;
  /** Nothing at or beyond this position is read; becomes smaller when the file proves to be shorter. */
  limit: number;
  /** What lies here and behind is kept while the window slides, as far as half the buffer allows. */
  anchor = 0;
  readonly #file: StoreFile;
  /** File position of bytes[0], and how many bytes are filled. */
  #start = 0;
  #filled = 0;

  /** @param buffer at least MIN_WALK_BUFFER_BYTES; borrowed for the window's life */
  constructor(file: StoreFile, limit: number, buffer: Uint8Array) {
    assert(buffer.length >= MIN_WALK_BUFFER_BYTES, 'a window holds at least a record');
    this.#file = file;
    this.limit = limit;
    this.bytes = buffer;
  }

  /** Index in `bytes` of `position`, with `wanted` bytes there; -1 where the limit is in the way. */
  have(position: number, wanted: number): number {
    const index = position - this.#start;
    if (index >= 0 && index + wanted <= this.#filled) return index;
    return this.#slide(position, wanted);
  }

  /** How many bytes at `position` are at hand; at least one in front of the limit. */
  available(position: number): number {
    if (this.have(position, 1) < 0) return 0;
    return Math.min(this.#start + this.#filled, this.limit) - position;
  }

  #slide(position: number, wanted: number): number {
    if (position + wanted > this.limit) return -1;
    const anchored = this.anchor <= position && position + wanted - this.anchor <= this.bytes.length / 2;
    const keepFrom = anchored ? this.anchor : position;
    const from = keepFrom - this.#start;
    const kept = from >= 0 && from < this.#filled ? this.#filled - from : 0;
    if (kept > 0) this.bytes.copyWithin(0, from, this.#filled);
    this.#start = keepFrom;
    const length = Math.min(this.bytes.length - kept, this.limit - keepFrom - kept);
    this.#filled = kept + this.#file.read(this.bytes, kept, length, keepFrom + kept);
    if (this.#filled < kept + length) this.limit = this.#start + this.#filled;
    const index = position - this.#start;
    return index + wanted <= this.#filled ? index : -1;
  }
}
