/**
 * RecordStream: checks a store that comes as a stream of bytes, record by record, and hands each live record on.
 *
 * Backups are read through it, also compressed ones, which cannot be read at a position. A backup holds whole, sound records
 * and nothing else, so the first thing that does not fit ends the stream with a fault; nothing is resynchronised here.
 * Memory: one buffer of a piece and a record. Records are borrowed until the visitor returns.
 */
import { readU16, readU32 } from '../base/bytes.ts';
import { MAX_RECORD_BYTES } from '../store/format.ts';
import { earlyFormat5, recordChecksum, type StoreFormat, storeFormat } from '../store/versions.ts';
import { emptyRecord } from '../store/walker.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import {
  FLAG_COMPLETED,
  FLAG_DELETED,
  GOSSIP_STORE_UUID,
  type StoreRecord,
  storeOffset,
} from '../wire/store_record.ts';

export type StreamFault =
  | 'empty_file'
  | 'unknown_version'
  | 'torn_record'
  | 'bad_checksum'
  | 'bad_length'
  | 'incomplete_record';

export interface RecordCounts {
  /** Live records. */
  readonly records: number;
  readonly channels: number;
  readonly channel_updates: number;
  readonly node_announcements: number;
}

/** Counts records as they are written or read. */
export class RecordCounter {
  records = 0;
  channels = 0;
  channelUpdates = 0;
  nodeAnnouncements = 0;

  /** @param type 4096 to 4098 are the wrapped messages of version 3 */
  add(type: number): void {
    this.records++;
    if (type === MESSAGE_TYPE.channel_announcement || type === 4096) this.channels++;
    else if (type === MESSAGE_TYPE.channel_update || type === 4097) this.channelUpdates++;
    else if (type === MESSAGE_TYPE.node_announcement || type === 4098) this.nodeAnnouncements++;
  }

  counts(): RecordCounts {
    return {
      records: this.records,
      channels: this.channels,
      channel_updates: this.channelUpdates,
      node_announcements: this.nodeAnnouncements,
    };
  }
}

const BUFFER_BYTES = 1024 * 1024;

export class RecordStream {
  /** Set once something does not fit; nothing is read after it. */
  fault: StreamFault | undefined;
  /** Known once the first byte was fed. */
  format: StoreFormat | undefined;
  /** 32 bytes, of the first uuid record. */
  uuid: Uint8Array | undefined;
  /** Bytes of the store that were fed. */
  bytes = 0;
  readonly counter = new RecordCounter();
  readonly #record = emptyRecord();
  readonly #visit: (record: StoreRecord) => void;
  readonly #headerBytes: number | undefined;
  #buffer = new Uint8Array(BUFFER_BYTES + MAX_RECORD_BYTES);
  #filled = 0;
  /** Position in the store of the buffer's first byte. */
  #bufferAt = 0;

  /** @param headerBytes tells early version 5 (8) from late (12); the version byte alone cannot */
  constructor(visit: (record: StoreRecord) => void, headerBytes?: number) {
    this.#visit = visit;
    this.#headerBytes = headerBytes;
  }

  feed(piece: Uint8Array): void {
    this.bytes += piece.length;
    for (let at = 0; at < piece.length && this.fault === undefined; ) {
      const taken = Math.min(piece.length - at, this.#buffer.length - this.#filled);
      this.#buffer.set(piece.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      this.#readRecords();
    }
  }

  /** After the last piece; returns the fault if there is one. */
  end(): StreamFault | undefined {
    if (this.fault === undefined) {
      if (this.bytes === 0) this.fault = 'empty_file';
      else if (this.#filled > 0) this.fault = 'torn_record';
    }
    return this.fault;
  }

  #readVersion(): number {
    const version = this.#buffer[0] as number;
    this.format = version === 5 && this.#headerBytes === 8 ? earlyFormat5 : storeFormat(version);
    if (this.format === undefined) this.fault = 'unknown_version';
    return 1;
  }

  #readRecords(): void {
    let at = this.#bufferAt === 0 && this.format === undefined ? this.#readVersion() : 0;
    while (this.fault === undefined) {
      const size = this.#recordAt(at);
      if (size === 0) break;
      at += size;
    }
    this.#buffer.copyWithin(0, at, this.#filled);
    this.#filled -= at;
    this.#bufferAt += at;
  }

  /** Bytes of the record at `at`; 0 when it is not there whole, or does not fit. */
  #recordAt(at: number): number {
    const { format } = this;
    const buffer = this.#buffer;
    if (format === undefined || this.#filled - at < format.headerBytes) return 0;
    const flags = readU16(buffer, at);
    const length = readU16(buffer, at + 2);
    const message = at + format.headerBytes;
    if (format.hasCompleted && (flags & FLAG_COMPLETED) === 0) return this.#fail('incomplete_record');
    const dead = (flags & FLAG_DELETED) !== 0 && (format.flags & FLAG_DELETED) !== 0;
    if (!dead && length < 2) return this.#fail('bad_length');
    if (this.#filled < message + length) return 0;
    const size = format.headerBytes + length;
    if (dead) return size;
    const timestamp = format.headerBytes === 12 ? readU32(buffer, at + 8) : 0;
    if (recordChecksum(format, timestamp, buffer, message, message + length) !== readU32(buffer, at + 4))
      return this.#fail('bad_checksum');
    const record = this.#record;
    record.bytes = buffer;
    record.at = message;
    record.length = length;
    record.type = readU16(buffer, message);
    record.flags = flags;
    record.timestamp = timestamp;
    record.offset = storeOffset(this.#bufferAt + message);
    if (record.type === GOSSIP_STORE_UUID && this.uuid === undefined)
      this.uuid = buffer.slice(message + 2, message + length);
    this.counter.add(record.type);
    this.#visit(record);
    return size;
  }

  #fail(fault: StreamFault): 0 {
    this.fault = fault;
    return 0;
  }
}
