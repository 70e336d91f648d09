/**
 * SalvageReader: steps over all records of a store file of any version, whatever is damaged between them.
 *
 * The audit, repair, conversion and the daemon's load hand it a StoreFile and its format. On a sound file it does what
 * RecordWalker does, at the same speed. Where a record cannot be read it looks, in this order, for what explains the most:
 * a header that the checksum proves to be wrong in flags, timestamp or checksum; the record's own length, if reading can go on
 * behind it; another length with which the checksum is right; the next record that verifies. Lengths come before
 * searching, so that bytes inside a large message are not taken for a record of their own.
 * Damage is a value: a gap, or a record with `restored` set. The steps tile the file; each moves on by at least one byte. Memory: the
 * window's buffer, and 2 MiB from the first damage on. Time is linear in the file's size (see resync and prefix_checksums).
 */
import { readU16, readU32 } from '../base/bytes.ts';
import { crc32c } from '../wire/crc32c.ts';
import { checkStoreMessage } from '../wire/gossip_store_messages.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { FLAG_COMPLETED, FLAG_DELETED, storeOffset } from '../wire/store_record.ts';
import { FileWindow } from './file_window.ts';
import type { FindingId } from './finding.ts';
import { AMOUNT_RECORD_BYTES, FIRST_RECORD_POSITION } from './format.ts';
import { type RawHeader, RecordProbe } from './record_probe.ts';
import { type RestoredRecord, Restorer } from './restorer.ts';
import { MIN_HOLE_BYTES, Resync } from './resync.ts';
import { SCAN_BUFFER_BYTES } from './scan.ts';
import type { StoreFile } from './store_file.ts';
import { checkMessageFor, NEWEST_KNOWN_VERSION, recordChecksum, type StoreFormat } from './versions.ts';
import { emptyRecord, type MessageFault, type MutableRecord } from './walker.ts';

export type GapKind =
  /** The last record, or a part of its header, and then the file ends. */
  | 'torn_tail'
  | 'zero_bytes'
  /** A record whose header is plausible and whose message is not what was written. */
  | 'bad_checksum'
  /** A header with a length of 0 or 1. */
  | 'empty_record'
  /** One byte, the version of a second store whose records follow. */
  | 'second_store'
  /** What is left of an old record where newer ones were written over it. */
  | 'overwritten'
  | 'garbage';

/** The finding that each kind is. */
export const GAP_FINDINGS = {
  torn_tail: 'GS-TORN-TAIL',
  zero_bytes: 'GS-ZERO-HOLE',
  bad_checksum: 'GS-CRC',
  empty_record: 'GS-EMPTY-RECORD',
  second_store: 'GS-DOUBLE-STORE',
  overwritten: 'GS-OVERWRITE-HEAD',
  garbage: 'GS-GARBAGE',
} as const satisfies Readonly<Record<GapKind, FindingId>>;

export interface Gap {
  /** Where it begins in the file. */
  readonly position: number;
  readonly length: number;
  readonly kind: GapKind;
  /** Nothing follows. */
  readonly atEnd: boolean;
  /** Message type that a plausible header names. */
  readonly type: number | undefined;
  /** Live records that certainly were there: 1, or 0 when nobody knows. */
  readonly records: number;
}

/** What of a header is not on disk as the record says. `bit`: of the message. */
export type Restored = 'length' | 'timestamp' | 'flags' | 'completed' | 'checksum' | 'bit';

export type SalvageStep = 'live' | 'deleted' | 'malformed' | 'gap' | 'end';

export interface SalvageOptions {
  readonly format: StoreFormat;
  /** Header position of the first record to look at; 1 unless given. */
  readonly from?: number;
  /** Nothing at or behind it is read; the file's size unless given. */
  readonly limit?: number;
  /** Sets type, timestamp and message of deleted records, where their checksum holds (type 0 otherwise). */
  readonly opensDeleted?: boolean;
  /** Also gives back records in which exactly one flipped bit of the message explains the checksum. */
  readonly restoreBits?: boolean;
  /** At least MIN_WALK_BUFFER_BYTES; borrowed. 1 MiB unless given. */
  readonly buffer?: Uint8Array;
  /** Lengths known from elsewhere: of the message whose header is at this position. */
  readonly knownLength?: (position: number) => number | undefined;
}

const NO_BYTES = new Uint8Array(0);
const NO_GAP: Gap = { position: 0, length: 0, kind: 'garbage', atEnd: false, type: undefined, records: 0 };

/** No record is longer; what is left of one that was written over is shorter. */
const MAX_OVERWRITTEN_BYTES = 65_547;
/** The only version that CLN wrote over older records (v24.02 to v24.11). */
const OVERWRITING_VERSION = 14;
const MAX_VERSION_BYTE = 0x1f;
/** Checksums longer than this are not computed one by one soon after damage, where each byte could claim one. */
const LONG_BYTES = 2048;
const WARY_BYTES = 128 * 1024;

export class SalvageReader {
  /** Set after live, deleted and malformed; borrowed until next(), but for an announcement's bytes, which stay while the amount behind it is stepped over. */
  readonly record: MutableRecord = emptyRecord();
  /** Header position of what next() just gave. */
  position: number;
  /** Position behind it, where the next step starts. */
  end: number;
  gap: Gap = NO_GAP;
  /** What of this record's header is not on disk as `record` says. */
  restored: Restored | undefined;
  fault: MessageFault | undefined;
  /** Number of what next() just gave; deleted and damaged records count, from 0. */
  recordNumber = -1;

  readonly #options: SalvageOptions;
  readonly #format: StoreFormat;
  readonly #headerBytes: number;
  readonly #badFlags: number;
  readonly #wantedFlags: number;
  readonly #isNewest: boolean;
  readonly #window: FileWindow;
  readonly #probe: RecordProbe;
  readonly #resync: Resync;
  readonly #restorer: Restorer;
  /** The next position is not where a record should begin. */
  #isLost = false;
  /** What the search found at this position, so that it need not be done again. */
  #foundAt = -1;
  #waryUntil = 0;
  #numbered = 0;

  constructor(file: StoreFile, options: SalvageOptions) {
    const { format, from = FIRST_RECORD_POSITION, limit = file.size() } = options;
    this.#options = options;
    this.#format = format;
    this.#headerBytes = format.headerBytes;
    this.#badFlags = 0xffff & ~format.flags;
    this.#wantedFlags = format.hasCompleted ? FLAG_COMPLETED : 0;
    this.#isNewest = format.version >= NEWEST_KNOWN_VERSION;
    this.#window = new FileWindow(file, limit, options.buffer ?? new Uint8Array(SCAN_BUFFER_BYTES));
    this.#probe = new RecordProbe(this.#window, format);
    this.#resync = new Resync(this.#probe, from);
    this.#restorer = new Restorer(file, this.#probe, this.#resync, options);
    this.position = from;
    this.end = from;
  }

  /** @throws OperationalError when the disk refuses; nothing else */
  next(): SalvageStep {
    const position = this.end;
    this.position = position;
    this.recordNumber = this.#numbered;
    this.restored = undefined;
    if (position >= this.#window.limit) return 'end';
    this.#window.anchor = position;
    if (!this.#isLost) {
      const step = this.#sound(position);
      if (step !== undefined) {
        this.#numbered++;
        return step;
      }
    }
    const step = this.#damaged(position);
    if (step === 'gap' || this.restored !== undefined) this.#waryUntil = this.end + WARY_BYTES;
    this.#numbered += step === 'gap' ? this.gap.records : 1;
    return step;
  }

  /** The record at the position if nothing is wrong with it. */
  #sound(position: number): 'live' | 'deleted' | 'malformed' | undefined {
    const window = this.#window;
    const header = this.#headerBytes;
    let at = window.have(position, header + 2);
    if (at < 0) return undefined;
    const { bytes } = window;
    const flags = readU16(bytes, at);
    if ((flags & this.#badFlags) !== 0 || (flags & this.#wantedFlags) !== this.#wantedFlags) return undefined;
    const length = readU16(bytes, at + 2);
    if (length < 2) return undefined;
    if ((flags & FLAG_DELETED) !== 0) return this.#soundDeleted(position, flags, length);
    const size = header + length;
    at = window.have(position, size);
    if (at < 0) return undefined;
    const type = readU16(bytes, at + header);
    const amount = size + AMOUNT_RECORD_BYTES;
    if (type === MESSAGE_TYPE.channel_announcement && position + amount <= window.limit)
      at = window.have(position, amount);
    const message = at + header;
    const timestamp = header === 12 ? readU32(bytes, at + 8) : 0;
    const crc =
      this.#isNewest && length <= LONG_BYTES
        ? crc32c(timestamp, bytes, message, message + length)
        : this.#checksum(position, message, length, timestamp);
    if (crc !== readU32(bytes, at + 4)) return undefined;
    const { record } = this;
    record.bytes = bytes;
    record.at = message;
    record.length = length;
    record.type = type;
    record.flags = flags;
    record.timestamp = timestamp;
    record.offset = storeOffset(position + header);
    this.end = position + size;
    this.fault = this.#isNewest
      ? checkStoreMessage(bytes, message, length)
      : checkMessageFor(this.#format, bytes, message, length);
    return this.fault === undefined ? 'live' : 'malformed';
  }

  #checksum(position: number, message: number, length: number, timestamp: number): number | undefined {
    if (length > LONG_BYTES && position < this.#waryUntil)
      return this.#probe.checksum(position, length, timestamp);
    const { bytes } = this.#window;
    return recordChecksum(this.#format, timestamp, bytes, message, message + length);
  }

  /**
   * A deleted record is stepped over by its length, if that leads to another header or to the end. Soon after damage its
   * checksum is looked at all the same: what is there may be a piece of a record in a foreign place.
   */
  #soundDeleted(position: number, flags: number, length: number): 'deleted' | undefined {
    const end = position + this.#headerBytes + length;
    if (end !== this.#window.limit && !this.#probe.frames(end)) return undefined;
    if (position < this.#waryUntil) return undefined;
    return this.#deleted(position, flags, length);
  }

  #deleted(position: number, flags: number, length: number): 'deleted' {
    const { record } = this;
    record.bytes = NO_BYTES;
    record.at = 0;
    record.type = 0;
    record.timestamp = 0;
    record.length = length;
    record.flags = flags;
    record.offset = storeOffset(position + this.#headerBytes);
    this.end = position + this.#headerBytes + length;
    if (this.#options.opensDeleted === true) this.#open(position, length);
    return 'deleted';
  }

  /** Points the record at its message, if checksum and message are right. */
  #open(position: number, length: number): void {
    const header = this.#probe.header(position);
    if (header === undefined || this.#probe.checksum(position, length, header.timestamp) !== header.crc)
      return;
    const at = this.#window.have(position + this.#headerBytes, length);
    if (at < 0 || checkMessageFor(this.#format, this.#window.bytes, at, length) !== undefined) return;
    const { record } = this;
    record.bytes = this.#window.bytes;
    record.at = at;
    record.type = header.type;
    record.timestamp = header.timestamp;
  }

  #damaged(position: number): SalvageStep {
    const hole = this.#hole(position);
    if (hole !== undefined) return hole;
    if (this.#isLost) return this.#search(position, undefined);
    const header = this.#probe.header(position);
    if (header === undefined) return this.#tornHeader(position);
    const restorer = this.#restorer;
    if (restorer.isWhole(position, header)) return this.#deliver(position, restorer.withFlags(header));
    const second = this.#secondStore(position);
    if (second !== undefined) return second;
    const outcome = restorer.judge(position, header);
    if (outcome === undefined) return this.#search(position, header);
    if (outcome.is === 'record') return this.#deliver(position, outcome);
    return this.#give(position, outcome.end, outcome.is, header);
  }

  /** Zeros where a header should be, up to a record, the limit, or so many that they are a hole. */
  #hole(position: number): 'gap' | undefined {
    const first = this.#window.have(position, 1);
    if (first < 0 || this.#window.bytes[first] !== 0) return undefined;
    const end = this.#resync.endOfZeros(position);
    this.#window.anchor = position;
    if (end - position < this.#headerBytes && end < this.#window.limit) return undefined;
    const record = end < this.#window.limit ? this.#resync.recordBehindZeros(position, end) : end;
    if (record !== undefined) {
      this.#isLost = false;
      return this.#give(position, record, 'zero_bytes');
    }
    this.#window.anchor = position;
    if (end - position < MIN_HOLE_BYTES) return undefined;
    this.#isLost = true;
    return this.#give(position, end, 'zero_bytes');
  }

  #secondStore(position: number): 'gap' | undefined {
    const at = this.#window.have(position, 1);
    const byte = at < 0 ? 0 : (this.#window.bytes[at] as number);
    if (byte === 0 || byte > MAX_VERSION_BYTE || !this.#resync.isRecord(position + 1)) return undefined;
    return this.#give(position, position + 1, 'second_store');
  }

  #deliver(position: number, { length, header, restored }: RestoredRecord): SalvageStep {
    this.restored = restored;
    if ((header.flags & FLAG_DELETED) !== 0) return this.#deleted(position, header.flags, length);
    const size = this.#headerBytes + length;
    const withAmount = this.#window.have(position, size + AMOUNT_RECORD_BYTES);
    const at = withAmount < 0 ? this.#window.have(position, size) : withAmount;
    // The file has become shorter in this instant.
    if (at < 0) return this.#give(position, Math.max(this.#window.limit, position + 1), 'torn_tail');
    const { record } = this;
    record.bytes = this.#window.bytes;
    record.at = at + this.#headerBytes;
    record.length = length;
    record.type = header.type;
    record.flags = header.flags;
    record.timestamp = header.timestamp;
    record.offset = storeOffset(position + this.#headerBytes);
    this.end = position + size;
    this.fault = checkMessageFor(this.#format, record.bytes, record.at, length);
    return this.fault === undefined ? 'live' : 'malformed';
  }

  /** Fewer bytes than a header in front of the limit. */
  #tornHeader(position: number): 'gap' {
    const { limit } = this.#window;
    const at = this.#window.have(position, 1);
    const bytes = at < 0 ? NO_BYTES : this.#window.bytes.subarray(at, at + limit - position);
    const flags = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
    return this.#give(position, limit, (flags & this.#badFlags) === 0 ? 'torn_tail' : 'garbage');
  }

  /** Nothing proves where the record ends: the gap reaches to the next record that verifies, to a hole, or to the limit. */
  #search(position: number, header: RawHeader | undefined): 'gap' {
    const start = header === undefined ? position : position + 1;
    const found = this.#foundAt > position ? this.#foundAt : this.#searchFrom(start, position);
    this.#isLost = found !== this.#foundAt;
    const { limit } = this.#window;
    if (header === undefined) return this.#give(position, found, 'garbage');
    const areFlagsPossible = (header.flags & this.#badFlags) === 0;
    // Of the type not both bytes are there.
    if (areFlagsPossible && limit - position < this.#headerBytes + 2 && header.length >= 2)
      return this.#give(position, limit, 'torn_tail');
    const isPlausible = areFlagsPossible && this.#probe.fitsType(header.type, header.length);
    if (!isPlausible) return this.#give(position, found, this.#strangeKind(position, found, header));
    const end = position + this.#headerBytes + header.length;
    if (found === limit && end > limit) return this.#give(position, found, 'torn_tail', header);
    if (end >= found) return this.#give(position, found, 'bad_checksum', header);
    this.#isLost = true;
    return this.#give(position, end, 'bad_checksum', header);
  }

  #searchFrom(start: number, position: number): number {
    const found = this.#resync.next(start);
    this.#foundAt = found.isRecord ? found.position : -1;
    return Math.max(found.position, position + 1);
  }

  /** Behind records that were written over older ones lies what is left of an old record. */
  #strangeKind(position: number, found: number, header: RawHeader): GapKind {
    const isOverwritten =
      this.#format.version === OVERWRITING_VERSION &&
      found < this.#window.limit &&
      found - position < MAX_OVERWRITTEN_BYTES &&
      !this.#probe.hasType(header.type);
    return isOverwritten ? 'overwritten' : 'garbage';
  }

  #give(position: number, end: number, kind: GapKind, header?: RawHeader): 'gap' {
    const { limit } = this.#window;
    const isLive = header !== undefined && (header.flags & FLAG_DELETED) === 0;
    const type = header !== undefined && this.#probe.hasType(header.type) ? header.type : undefined;
    const isTorn = kind === 'torn_tail' && header === undefined;
    const records = isLive || isTorn ? 1 : 0;
    this.gap = { position, length: end - position, kind, atEnd: end >= limit, type, records };
    this.end = end;
    return 'gap';
  }
}
