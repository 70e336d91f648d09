/**
 * RecordSink: writes a new store front to back, from messages to records of one version.
 *
 * The copier hands it messages in their final order; it makes headers and checksums and writes pieces of 1 MiB. It never
 * reads and never goes back, so that a disk that fails leaves a prefix under a temporary name and nothing else.
 */
import { writeU16, writeU32 } from '../base/bytes.ts';
import { FIRST_RECORD_POSITION, MAX_RECORD_BYTES } from '../store/format.ts';
import type { StoreFile } from '../store/store_file.ts';
import { recordChecksum, type StoreFormat } from '../store/versions.ts';
import { encodeUuid } from '../wire/gossip_store_messages.ts';
import { FLAG_COMPLETED, FLAG_DELETED, FLAG_DYING, RECORD_HEADER_BYTES } from '../wire/store_record.ts';

const PIECE_BYTES = 1024 * 1024;

/** Flags that a record may have in a new file of this version, but for COMPLETED. */
const flagsKeptBy = (format: StoreFormat): number =>
  format.version >= 14 ? FLAG_DYING : format.flags & ~FLAG_DELETED;

export class RecordSink {
  readonly format: StoreFormat;
  readonly #file: StoreFile;
  readonly #buffer = new Uint8Array(PIECE_BYTES + MAX_RECORD_BYTES);
  readonly #keptFlags: number;
  readonly #addedFlags: number;
  #records = 0;
  #filled = 0;
  /** File position of the buffer's first byte. */
  #written = 0;

  /** Starts the file with its version byte and, where the version has one, the uuid. @param format of 12-byte headers */
  constructor(file: StoreFile, format: StoreFormat, uuid: Uint8Array) {
    this.#file = file;
    this.format = format;
    this.#keptFlags = flagsKeptBy(format);
    this.#addedFlags = format.hasCompleted ? FLAG_COMPLETED : 0;
    this.#buffer[0] = format.version;
    this.#filled = FIRST_RECORD_POSITION;
    if (!format.hasUuid) return;
    const message = encodeUuid(uuid);
    this.put(message, 0, message.length, 0, 0);
  }

  /** The uuid counts. */
  get records(): number {
    return this.#records;
  }

  /** Bytes of the file so far. */
  get size(): number {
    return this.#written + this.#filled;
  }

  /** Adds a record; `flags` that mean nothing in this version are left out. The bytes are borrowed for the call. */
  put(bytes: Uint8Array, at: number, length: number, timestamp: number, flags: number): void {
    const header = this.#filled;
    const message = header + RECORD_HEADER_BYTES;
    const buffer = this.#buffer;
    buffer.set(bytes.subarray(at, at + length), message);
    writeU16(buffer, header, (flags & this.#keptFlags) | this.#addedFlags);
    writeU16(buffer, header + 2, length);
    writeU32(buffer, header + 4, recordChecksum(this.format, timestamp, buffer, message, message + length));
    writeU32(buffer, header + 8, timestamp);
    this.#filled = message + length;
    this.#records++;
    if (this.#filled >= PIECE_BYTES) this.flush();
  }

  /** Hands what is gathered to the system. */
  flush(): void {
    if (this.#filled === 0) return;
    this.#file.write(this.#buffer.subarray(0, this.#filled), this.#written);
    this.#written += this.#filled;
    this.#filled = 0;
  }
}
