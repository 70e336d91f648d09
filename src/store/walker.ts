/**
 * RecordWalker: steps over the records of a store file, one at a time, with one buffer and one reused record.
 *
 * scan, load, cursors and followers hand it a StoreFile and a position, and decide what each step's outcome means to them.
 * It keeps to what every reader of the format may rely on: a record counts only once it is COMPLETED and lies whole in
 * front of the limit; a DELETED one is stepped over by its length and not looked into; the checksum of any other is
 * verified; the message must pass the structural check of its type.
 * Memory: one buffer of the given size, whatever the file's size; positions are exact beyond 4 GiB.
 */
import { readU16, readU32 } from '../base/bytes.ts';
import { crc32c } from '../wire/crc32c.ts';
import type { WireFaultKind } from '../wire/fault.ts';
import { checkStoreMessage } from '../wire/gossip_store_messages.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import {
  FLAG_COMPLETED,
  FLAG_DELETED,
  RECORD_HEADER_BYTES,
  type StoreRecord,
  storeOffset,
} from '../wire/store_record.ts';
import { AMOUNT_RECORD_BYTES, MAX_RECORD_BYTES } from './format.ts';
import type { StoreFile } from './store_file.ts';

/** Why no further record can be read here. */
export type WalkEnd =
  /** The limit was reached exactly. */
  | 'end_of_file'
  /** The next record is not COMPLETED: being written, or left behind by a crash. */
  | 'incomplete_record'
  /** Fewer than 12 bytes are left. */
  | 'torn_header'
  /** The record reaches beyond the limit. */
  | 'torn_record'
  | 'bad_checksum'
  /** Length 0 or 1: no room for a type. */
  | 'bad_length';

export type MessageFault = WireFaultKind | 'unknown_record_type';

/**
 * `live`: `record` is set. `deleted`: its length, flags and offset are set; the message only for a walker that opens deleted
 * records, and only where the checksum still holds (`type` is 0 otherwise). `malformed`: as live, and `fault` says why.
 */
export type WalkStep = 'live' | 'deleted' | 'malformed' | WalkEnd;

export type MutableRecord = { -readonly [key in keyof StoreRecord]: StoreRecord[key] };

const NO_BYTES = new Uint8Array(0);

export const emptyRecord = (): MutableRecord => ({
  bytes: NO_BYTES,
  at: 0,
  length: 0,
  type: 0,
  flags: 0,
  timestamp: 0,
  offset: storeOffset(0),
});

/** An announcement, and the amount behind it, must fit. */
export const MIN_WALK_BUFFER_BYTES = MAX_RECORD_BYTES + AMOUNT_RECORD_BYTES;

export class RecordWalker {
  /** Set by step(); borrowed until the next step or seek. */
  readonly record: MutableRecord = emptyRecord();
  /** Of the last malformed record. */
  fault: MessageFault | undefined;

  readonly #file: StoreFile;
  readonly #buffer: Uint8Array;
  /** File position of the buffer's first byte, and how many bytes of it are filled. */
  #bufferAt = 0;
  #filled = 0;
  #position: number;
  readonly #opensDeleted: boolean;
  readonly #hasCompleted: boolean;

  /**
   * @param position header position to start from
   * @param buffer at least MIN_WALK_BUFFER_BYTES; borrowed for the walker's life
   * @param hasCompleted false for version 14, whose records have no COMPLETED flag
   */
  constructor(
    file: StoreFile,
    position: number,
    buffer: Uint8Array,
    opensDeleted = false,
    hasCompleted = true,
  ) {
    this.#hasCompleted = hasCompleted;
    this.#file = file;
    this.#position = position;
    this.#buffer = buffer;
    this.#opensDeleted = opensDeleted;
  }

  /** Header position of the next record; after a WalkEnd, of the one that cannot be read. */
  get position(): number {
    return this.#position;
  }

  /** Forgets what was read ahead and goes on from `position`, so that the next step sees the file as it is then. */
  seek(position: number): void {
    this.#position = position;
    this.#filled = 0;
  }

  /** Steps over the record at `position` if there is one, and says what it is. Reads nothing at or beyond `limit`. */
  step(limit: number): WalkStep {
    const position = this.#position;
    const available = limit - position;
    if (available < RECORD_HEADER_BYTES) return available <= 0 ? 'end_of_file' : 'torn_header';
    if (!this.#have(RECORD_HEADER_BYTES, limit)) return 'torn_header';
    let at = position - this.#bufferAt;
    const flags = readU16(this.#buffer, at);
    if ((flags & FLAG_COMPLETED) === 0 && this.#hasCompleted) return 'incomplete_record';
    const length = readU16(this.#buffer, at + 2);
    const size = RECORD_HEADER_BYTES + length;
    if (available < size) return 'torn_record';
    const record = this.record;
    record.length = length;
    record.flags = flags;
    record.offset = storeOffset(position + RECORD_HEADER_BYTES);
    if ((flags & FLAG_DELETED) !== 0) return this.#deleted(size, limit);
    if (length < 2) return 'bad_length';
    if (!this.#have(size, limit)) return 'torn_record';
    at = position - this.#bufferAt;
    const type = readU16(this.#buffer, at + RECORD_HEADER_BYTES);
    if (type === MESSAGE_TYPE.channel_announcement && available >= size + AMOUNT_RECORD_BYTES) {
      // Keeps an announcement's bytes where they are while the amount behind it is stepped over.
      if (!this.#have(size + AMOUNT_RECORD_BYTES, limit)) return 'torn_record';
      at = position - this.#bufferAt;
    }
    if (!this.#openMessage(at, type)) return 'bad_checksum';
    this.#position = position + size;
    this.fault = checkStoreMessage(this.#buffer, record.at, length);
    return this.fault === undefined ? 'live' : 'malformed';
  }

  /** Goes past a record whose checksum step() has just refused, trusting its length. */
  skipBadRecord(): void {
    this.#position += RECORD_HEADER_BYTES + this.record.length;
  }

  #deleted(size: number, limit: number): 'deleted' {
    const { record } = this;
    record.bytes = NO_BYTES;
    record.type = 0;
    if (this.#opensDeleted && record.length >= 2 && this.#have(size, limit)) {
      const at = this.#position - this.#bufferAt;
      const holds = this.#openMessage(at, readU16(this.#buffer, at + RECORD_HEADER_BYTES));
      if (!holds || checkStoreMessage(this.#buffer, record.at, record.length) !== undefined) record.type = 0;
    }
    this.#position += size;
    return 'deleted';
  }

  /** Points the record at the message behind the header at `at`; false if its checksum is wrong. */
  #openMessage(at: number, type: number): boolean {
    const { record } = this;
    const message = at + RECORD_HEADER_BYTES;
    record.bytes = this.#buffer;
    record.at = message;
    record.type = type;
    record.timestamp = readU32(this.#buffer, at + 8);
    const crc = crc32c(record.timestamp, this.#buffer, message, message + record.length);
    return crc === readU32(this.#buffer, at + 4);
  }

  /** Makes `wanted` bytes from the position on available in the buffer; false if the file has become shorter. */
  #have(wanted: number, limit: number): boolean {
    const start = this.#position - this.#bufferAt;
    if (start >= 0 && start + wanted <= this.#filled) return true;
    const keep = start >= 0 && start < this.#filled ? this.#filled - start : 0;
    if (keep > 0) this.#buffer.copyWithin(0, start, this.#filled);
    this.#bufferAt = this.#position;
    const length = Math.min(this.#buffer.length - keep, limit - this.#position - keep);
    this.#filled = keep + this.#file.read(this.#buffer, keep, length, this.#position + keep);
    return this.#filled >= wanted;
  }
}
