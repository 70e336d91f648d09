/**
 * Restorer: what a record with a wrong checksum was, where its header and the bytes around it still tell.
 *
 * The salvage reader asks it about each record that cannot be read, before it searches for the next one. It tries, in this
 * order: the known length, another checksum or timestamp in the header; then, if reading can go on behind the record's
 * own length, a torn timestamp, a flipped bit (on request), a longer length; else another length. A record is given back
 * only where the checksum proves it; where only the length holds, the record alone is given up.
 */
import { readU16 } from '../base/bytes.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { FLAG_COMPLETED, FLAG_DELETED, storeOffset } from '../wire/store_record.ts';
import { AMOUNT_RECORD_BYTES } from './format.ts';
import type { RawHeader, RecordProbe } from './record_probe.ts';
import { flippedBit, isOneBit, provenTimestamp } from './restore_record.ts';
import type { Resync } from './resync.ts';
import type { Restored } from './salvage_reader.ts';
import type { StoreFile } from './store_file.ts';
import { tornTimestamp } from './torn_timestamp.ts';
import { checkMessageFor } from './versions.ts';

/** A record with the header that it should have. */
export interface RestoredRecord {
  /** Message length; that of `header` is what the disk says. */
  readonly length: number;
  readonly header: RawHeader;
  readonly restored: Restored | undefined;
}

export type Outcome =
  | ({ readonly is: 'record' } & RestoredRecord)
  | {
      readonly is: 'bad_checksum' | 'empty_record';
      /** Position behind it. */
      readonly end: number;
    };

export interface RestorerOptions {
  readonly restoreBits?: boolean;
  readonly knownLength?: (position: number) => number | undefined;
}

/** 432 bytes, and features that have no room for the shortest record. */
const MAX_TIGHT_ANNOUNCEMENT_BYTES = 450;
/** Torn timestamps are looked for up to so far behind the announcement, and so many times in vain. */
const TORN_TIMESTAMP_REACH_BYTES = 1024 * 1024;
const TORN_TIMESTAMP_ATTEMPTS = 64;

export class Restorer {
  readonly #file: StoreFile;
  readonly #probe: RecordProbe;
  readonly #resync: Resync;
  readonly #options: RestorerOptions;
  readonly #headerBytes: number;
  readonly #badFlags: number;
  readonly #wantedFlags: number;
  #tornAttempts = TORN_TIMESTAMP_ATTEMPTS;

  constructor(file: StoreFile, probe: RecordProbe, resync: Resync, options: RestorerOptions) {
    this.#file = file;
    this.#probe = probe;
    this.#resync = resync;
    this.#options = options;
    const { format } = probe;
    this.#headerBytes = format.headerBytes;
    this.#badFlags = 0xffff & ~format.flags;
    this.#wantedFlags = format.hasCompleted ? FLAG_COMPLETED : 0;
  }

  /** The checksum is right: at most the flags are not. */
  isWhole(position: number, { length, timestamp, crc }: RawHeader): boolean {
    return length >= 2 && this.#probe.checksum(position, length, timestamp) === crc;
  }

  /** The record with flags as they should be. */
  withFlags(header: RawHeader): RestoredRecord {
    const { flags, length } = header;
    const areUndefined = (flags & this.#badFlags) !== 0;
    const isComplete = (flags & this.#wantedFlags) === this.#wantedFlags;
    const restored = areUndefined ? 'flags' : isComplete ? undefined : 'completed';
    return { length, header: { ...header, flags: this.#flags(header) }, restored };
  }

  /** Undefined when nothing tells where the record ends. @param header of a record whose checksum is wrong */
  judge(position: number, header: RawHeader): Outcome | undefined {
    return (
      this.#otherHeader(position, header) ??
      this.#ownLength(position, header) ??
      this.#restored(this.#resync.lengthOf(position, header), header, 'length')
    );
  }

  #flags(header: RawHeader): number {
    return (header.flags & this.#probe.format.flags) | this.#wantedFlags;
  }

  #restored(
    length: number | undefined,
    header: RawHeader,
    restored: Restored | undefined,
  ): Outcome | undefined {
    if (length === undefined) return undefined;
    return { is: 'record', length, header: { ...header, flags: this.#flags(header) }, restored };
  }

  #isWellFormed(at: number, length: number): boolean {
    return checkMessageFor(this.#probe.format, this.#probe.window.bytes, at, length) === undefined;
  }

  /** The message is where the header says, and the checksum proves which other field is wrong; or its length is known. */
  #otherHeader(position: number, header: RawHeader): Outcome | undefined {
    const { window } = this.#probe;
    const known = this.#options.knownLength?.(position);
    const length = known ?? header.length;
    if (length < 2) return undefined;
    const checksum = this.#probe.checksum(position, length, header.timestamp);
    if (checksum === undefined) return undefined;
    if (checksum === header.crc) return this.#restored(length, header, 'length');
    const difference = checksum ^ header.crc;
    const at = window.have(position + this.#headerBytes, length);
    if (at < 0) return undefined;
    if (this.#isWellFormed(at, length)) {
      if (isOneBit(difference)) return this.#restored(length, header, 'checksum');
      const timestamp =
        this.#headerBytes === 12
          ? provenTimestamp(difference, window.bytes, at, length, header.type, header.timestamp)
          : undefined;
      if (timestamp !== undefined) return this.#restored(length, { ...header, timestamp }, 'timestamp');
    }
    if (known === undefined || known === header.length) return undefined;
    const end = position + this.#headerBytes + known;
    return this.#probe.leads(end) ? { is: 'bad_checksum', end } : undefined;
  }

  /** Reading can go on behind the record: it alone is damaged. */
  #ownLength(position: number, header: RawHeader): Outcome | undefined {
    const { length, flags } = header;
    const end = position + this.#headerBytes + length;
    if (end > this.#probe.window.limit) return undefined;
    if (!this.#probe.leads(end) && this.#options.knownLength?.(position) !== length) return undefined;
    const areFlagsPossible = (flags & this.#badFlags) === 0;
    if (length < 2) return areFlagsPossible ? { is: 'empty_record', end } : undefined;
    // Nobody looks into a deleted record.
    if ((flags & FLAG_DELETED) !== 0 && areFlagsPossible)
      return this.#recordsInside(position, end, header) ?? this.#restored(length, header, undefined);
    return (
      this.#tornTimestamp(position, header) ??
      this.#flippedBit(position, header) ??
      this.#longerLength(position, header) ??
      this.#recordsInside(position, end, header) ?? { is: 'bad_checksum', end }
    );
  }

  /** An announcement whose header was just being given the timestamp of its first update. */
  #tornTimestamp(position: number, header: RawHeader): Outcome | undefined {
    const { window, format } = this.#probe;
    const { type, length, flags } = header;
    if (type !== MESSAGE_TYPE.channel_announcement || !format.hasCompleted) return undefined;
    const size = this.#headerBytes + length;
    const found = window.have(position, size + AMOUNT_RECORD_BYTES);
    if (found < 0 || this.#tornAttempts <= 0) return undefined;
    const at = found + this.#headerBytes;
    const offset = storeOffset(position + this.#headerBytes);
    const record = { bytes: window.bytes, at, length, type, flags, timestamp: header.timestamp, offset };
    const reach = Math.min(window.limit, position + size + TORN_TIMESTAMP_REACH_BYTES);
    const timestamp = tornTimestamp(this.#file, record, reach);
    if (timestamp === undefined) this.#tornAttempts--;
    return timestamp === undefined
      ? undefined
      : this.#restored(length, { ...header, timestamp }, 'timestamp');
  }

  /** Puts the bit right in the window's bytes; the file stays as it is. */
  #flippedBit(position: number, header: RawHeader): Outcome | undefined {
    if (this.#options.restoreBits !== true) return undefined;
    const { length } = header;
    const checksum = this.#probe.checksum(position, length, header.timestamp);
    const at = this.#probe.window.have(position + this.#headerBytes, length);
    if (checksum === undefined || at < 0) return undefined;
    const bit = flippedBit(checksum ^ header.crc, length);
    if (bit === undefined) return undefined;
    if (header.type === MESSAGE_TYPE.channel_announcement && bit.index < 4) return undefined;
    const { bytes } = this.#probe.window;
    const damaged = bytes[at + bit.index] as number;
    bytes[at + bit.index] = damaged ^ bit.mask;
    if (this.#isWellFormed(at, length))
      return this.#restored(length, { ...header, type: readU16(bytes, at) }, 'bit');
    bytes[at + bit.index] = damaged;
    return undefined;
  }

  /**
   * The record's own length leads to what looks like a record; the checksum says that it lies inside this one. Only lengths
   * that lead on count. A shorter length is not believed: its sender can make a message so that it fits.
   */
  #longerLength(position: number, header: RawHeader): Outcome | undefined {
    const length = this.#resync.lengthOf(position, header, header.length);
    if (length === undefined || !this.#probe.leads(position + this.#headerBytes + length)) return undefined;
    return this.#restored(length, header, 'length');
  }

  /**
   * What only looks like a record, or a part of one written over others, whose length happens to lead to a later record. Asked
   * only where no sender could have put bytes inside that look like records: of announcements without room for them,
   * and of headers that no single flipped bit has made out of a possible one.
   */
  #recordsInside(position: number, end: number, header: RawHeader): Outcome | undefined {
    const isTight =
      header.type === MESSAGE_TYPE.channel_announcement && header.length < MAX_TIGHT_ANNOUNCEMENT_BYTES;
    if (!isTight && this.#isAlmostPossible(header)) return undefined;
    const found = this.#resync.next(position + 1);
    if (!found.isRecord || found.position >= end) return undefined;
    return { is: 'bad_checksum', end: found.position };
  }

  /** Type and length belong together, or would with one other bit in the type. */
  #isAlmostPossible({ type, length }: RawHeader): boolean {
    if (this.#probe.fitsType(type, length)) return true;
    for (let bit = 0; bit < 16; bit++) if (this.#probe.fitsType(type ^ (1 << bit), length)) return true;
    return false;
  }
}
