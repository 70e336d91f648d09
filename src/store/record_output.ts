/**
 * RecordOutput: the growing end of a new store file, written in pieces of up to 1 MiB.
 *
 * rewrite.ts hands in one record after the other. What is in the buffer can be taken back, so that an announcement whose amount
 * turns out to be missing leaves no trace. Flags come out as the version has them: COMPLETED in 15 and 16 and not in 14, DYING
 * as it is, all others clear. Nobody reads the file before it is whole, so records are written completed.
 */

import { readU32 } from '../base/bytes.ts';
import { assert } from '../base/errors.ts';
import { FLAG_COMPLETED, FLAG_DYING, RECORD_HEADER_BYTES, type StoreRecord } from '../wire/store_record.ts';
import {
  AMOUNT_RECORD_BYTES,
  encodeEmptyStore,
  flagByte,
  headerLength,
  MAX_RECORD_BYTES,
  writeRecord,
} from './format.ts';
import type { StoreFile } from './store_file.ts';
import type { WritableVersion } from './versions.ts';

const BUFFER_BYTES = 1024 * 1024;
/** An announcement of the largest size and its amount, which may not be parted by a write. */
const PAIR_BYTES = MAX_RECORD_BYTES + AMOUNT_RECORD_BYTES;

export class RecordOutput {
  readonly #file: StoreFile;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  readonly #completed: number;
  #filled: number;
  #written = 0;

  /** Starts with the version byte, and from version 16 on the uuid. @param uuid 32 bytes; unused below */
  constructor(file: StoreFile, version: WritableVersion, uuid: Uint8Array) {
    this.#file = file;
    this.#completed = version === 14 ? 0 : FLAG_COMPLETED;
    const head = version === 16 ? encodeEmptyStore(uuid) : Uint8Array.of(version);
    this.#buffer.set(head);
    this.#filled = head.length;
  }

  /** Position at which the next record goes. */
  get size(): number {
    return this.#written + this.#filled;
  }

  /** What follows, up to an announcement and its amount, will lie in the buffer as a whole. Throws what writing throws. */
  makeRoom(): void {
    if (this.#filled + PAIR_BYTES > this.#buffer.length) this.flush();
  }

  /**
   * A record of version 14 to 16, its checksum known to be right.
   *
   * @param hasHeader the header in front of the message is sound too, and is taken over with its checksum
   */
  copy(record: StoreRecord, hasHeader: boolean): void {
    const { bytes, at, length, timestamp, flags } = record;
    const header = at - RECORD_HEADER_BYTES;
    const isThere =
      hasHeader &&
      header >= 0 &&
      headerLength(bytes, header) === length &&
      readU32(bytes, header + 8) === timestamp;
    if (!isThere) {
      this.write(bytes.subarray(at, at + length), timestamp, flags);
      return;
    }
    const to = this.#filled;
    this.#buffer.set(bytes.subarray(header, at + length), to);
    this.#buffer[to] = flagByte(this.#flags(flags));
    this.#buffer[to + 1] = 0;
    this.#filled = to + RECORD_HEADER_BYTES + length;
  }

  write(message: Uint8Array, timestamp: number, flags: number): void {
    this.#filled = writeRecord(this.#buffer, this.#filled, this.#flags(flags), timestamp, message);
  }

  /** Forgets what was handed in from position `size` on. */
  takeBack(size: number): void {
    assert(size >= this.#written && size <= this.size, 'what is in the file is not taken back');
    this.#filled = size - this.#written;
  }

  /** Throws what writing throws; the file is then of no use any more. */
  flush(): void {
    if (this.#filled === 0) return;
    this.#file.write(this.#buffer.subarray(0, this.#filled), this.#written);
    this.#written += this.#filled;
    this.#filled = 0;
  }

  #flags(flags: number): number {
    return (flags & FLAG_DYING) | this.#completed;
  }
}
