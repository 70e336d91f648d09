/**
 * TailSource: one open file that a writer may be appending to, read record by record, each once.
 *
 * tail.ts holds the file that has the name, and after a replacement the old one until it is drained. A record counts once it
 * is COMPLETED (15 and later) and its checksum holds; one that is DELETED by then is passed over. Where that is not so,
 * reading waits: it may be a write in flight. Damage is passed by the salvage reader's resynchronisation only when sound
 * records follow and the same damage is still there GRACE_MS later, or when the file has been replaced. A record
 * that is sound but for COMPLETED, with others behind it, waits INCOMPLETE_GRACE_MS: writers complete the first record of a
 * batch last, and a full disk can come in between.
 * Memory: one buffer. A place that cannot be read is looked at again when its bytes or the file's size change, else every RECHECK_MS.
 */
import { readU16, toHex } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import { crc32c } from '../wire/crc32c.ts';
import { storeUuidAt } from '../wire/gossip_store_messages.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { GOSSIP_STORE_UUID, RECORD_HEADER_BYTES } from '../wire/store_record.ts';
import { FIRST_RECORD_POSITION, MAX_RECORD_BYTES, UUID_RECORD_BYTES } from './format.ts';
import { type Gap, type Restored, SalvageReader } from './salvage_reader.ts';
import { SCAN_BUFFER_BYTES } from './scan.ts';
import type { FileIdentity, StoreFile, StoreFolder } from './store_file.ts';
import { headOf } from './tail_cursor.ts';
import { detectFormat, type StoreFormat } from './versions.ts';
import type { MutableRecord } from './walker.ts';

/** Longer than any write or header change takes, and than the moment in which ZFS shows zeros for what was written. */
export const GRACE_MS = 1_000;
export const INCOMPLETE_GRACE_MS = 10_000;
const RECHECK_MS = 2_000;
export const OLDEST_TAILED_VERSION = 7;

/** What keeps a source from giving its next record. */
export type TailWait =
  /** Everything is read. */
  | 'end'
  /** The next record is not complete, or the file ends in something that is no whole record. */
  | 'writer'
  /** Damage with sound records behind it: they come when the time of grace is over. */
  | 'damage';

export interface SourceNotices {
  readonly onGap: (gap: Gap) => void;
  readonly onRestored: (position: number, restored: Restored) => void;
}

interface Suspect {
  readonly position: number;
  readonly sinceMs: number;
}

export class TailSource {
  readonly file: StoreFile;
  readonly format: StoreFormat;
  readonly identity: FileIdentity;
  /** Header position of the next record. */
  position = FIRST_RECORD_POSITION;
  /** Why next() gave nothing. */
  waiting: TailWait = 'end';
  /** Names the file; '' until its first record is there. */
  head = '';
  /** Header position of the record that next() gave. */
  recordPosition = 0;

  readonly #clock: Clock;
  readonly #notices: SourceNotices;
  readonly #buffer: Uint8Array;
  #reader: SalvageReader | undefined;
  #limit = 0;
  #suspect: Suspect | undefined;
  #uuid: string | undefined;
  /** Where reading stopped, what was there, and when to look again. */
  #stall: { position: number; size: number; sum: number; lookAtMs: number } | undefined;

  /** Throws OperationalError `store_version_unsupported` for versions below 7 and other majors; `undefined`: nothing to read yet. */
  static open(
    folder: StoreFolder,
    name: string,
    clock: Clock,
    buffer: Uint8Array,
    notices: SourceNotices,
  ): TailSource | undefined {
    const file = folder.open(name, 'read');
    try {
      const { format, versionByte } = detectFormat(file);
      if (versionByte === undefined) {
        file.close();
        return undefined;
      }
      if (format === undefined || format.version < OLDEST_TAILED_VERSION) {
        throw new OperationalError(
          'store_version_unsupported',
          'stop',
          `${folder.path}/${name} has version ${versionByte}; versions 7 to 16 can be followed.`,
          'Look at it with "gossipd dump FILE"; "gossipd convert" writes it in a current version.',
        );
      }
      return new TailSource(file, format, clock, buffer, notices);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  private constructor(
    file: StoreFile,
    format: StoreFormat,
    clock: Clock,
    buffer: Uint8Array,
    notices: SourceNotices,
  ) {
    this.file = file;
    this.format = format;
    this.identity = file.identity();
    this.#clock = clock;
    this.#buffer = buffer;
    this.#notices = notices;
    this.head = headOf(file);
  }

  /** 64 hex digits; undefined before version 16, and while the first record is not there. */
  uuid(): string | undefined {
    if (this.#uuid !== undefined || !this.format.hasUuid || this.head === '') return this.#uuid;
    const bytes = new Uint8Array(UUID_RECORD_BYTES);
    if (this.file.read(bytes, 0, bytes.length, FIRST_RECORD_POSITION) === bytes.length) {
      const message = RECORD_HEADER_BYTES;
      const isUuid = readU16(bytes, message) === GOSSIP_STORE_UUID;
      if (isUuid) this.#uuid = toHex(bytes, storeUuidAt(bytes, message), bytes.length);
    }
    return this.#uuid;
  }

  /** The record that next() gave; borrowed until the next call. */
  get record(): MutableRecord | undefined {
    return this.#reader?.record;
  }

  /** Steps to the next record; false when there is none for now, and `waiting` says why. @param final nobody writes any more */
  next(final: boolean): boolean {
    for (;;) {
      if (this.#reader === undefined && !this.#look(final)) return false;
      const reader = this.#reader;
      if (reader === undefined) return false;
      switch (reader.next()) {
        case 'live':
          if (reader.restored !== undefined && !this.#accepts(reader, final)) return false;
          this.recordPosition = reader.position;
          this.position = reader.end;
          return true;
        case 'deleted':
        case 'malformed':
          this.position = reader.end;
          continue;
        case 'gap':
          if (!this.#passes(reader.gap, final)) return false;
          this.position = reader.end;
          continue;
        case 'end':
          this.#reader = undefined;
          if (this.file.size() > this.#limit && this.position <= this.#limit) continue;
          this.waiting = 'end';
          return false;
      }
    }
  }

  /** Goes on from `position`; what was read ahead is forgotten. */
  seek(position: number): void {
    this.position = position;
    this.#reader = undefined;
  }

  /** True if the file is no longer the one that was opened, though it is the same inode: cut short, or written anew. */
  wasRewritten(): boolean {
    if (this.file.size() < this.position) return true;
    const head = headOf(this.file);
    if (this.head === '') this.head = head;
    return head !== this.head;
  }

  /** Makes a reader for what is there now, unless that is known to be of no use. */
  #look(final: boolean): boolean {
    const size = this.file.size();
    if (this.position >= size) {
      this.waiting = 'end';
      return false;
    }
    const stall = this.#stall;
    if (stall !== undefined && !final) {
      const isOver =
        stall.size !== size ||
        this.#clock.monotonicMs() >= stall.lookAtMs ||
        this.#sumAt(stall.position) !== stall.sum;
      if (!isOver) return false;
    }
    this.#stall = undefined;
    this.#limit = size;
    this.#reader = new SalvageReader(this.file, {
      format: this.format,
      from: this.position,
      limit: size,
      buffer: this.#buffer,
    });
    return true;
  }

  /** Whether a record is taken whose header on disk is not what it should be. */
  #accepts(reader: SalvageReader, final: boolean): boolean {
    const { restored, position } = reader;
    if (restored === undefined) return true;
    const follows = this.#soundRecordFollows(reader.end);
    // In a file that was replaced, what was never completed is in the successor, or was never published.
    if (restored === 'completed' && (final || !follows)) return this.#wait('writer', position);
    if (!final) {
      if (!follows) return this.#wait('writer', position);
      const grace = restored === 'completed' ? INCOMPLETE_GRACE_MS : GRACE_MS;
      if (!this.#lasted(position, grace)) return this.#wait('damage', position, grace);
    }
    this.#notices.onRestored(position, restored);
    return true;
  }

  #passes(gap: Gap, final: boolean): boolean {
    if (gap.atEnd || !this.#soundRecordFollows(gap.position + gap.length))
      return this.#wait('writer', gap.position);
    if (!final && !this.#lasted(gap.position, GRACE_MS)) return this.#wait('damage', gap.position, GRACE_MS);
    this.#notices.onGap(gap);
    return true;
  }

  /** Whether the same damage was seen at least `graceMs` ago. */
  #lasted(position: number, graceMs: number): boolean {
    const now = this.#clock.monotonicMs();
    if (this.#suspect?.position !== position) this.#suspect = { position, sinceMs: now };
    return now - this.#suspect.sinceMs >= graceMs;
  }

  #wait(waiting: TailWait, position: number, graceMs = RECHECK_MS): false {
    this.waiting = waiting;
    this.#reader = undefined;
    const since = waiting === 'damage' ? this.#suspect?.sinceMs : undefined;
    this.#stall = {
      position,
      size: this.#limit,
      sum: this.#sumAt(position),
      lookAtMs: (since ?? this.#clock.monotonicMs()) + graceMs,
    };
    return false;
  }

  /** Of the bytes at `position` that the largest record could take: what is there can only become sound by changing them. */
  #sumAt(position: number): number {
    const bytes = new Uint8Array(Math.max(0, Math.min(MAX_RECORD_BYTES, this.file.size() - position)));
    return crc32c(0, bytes, 0, this.file.read(bytes, 0, bytes.length, position));
  }

  #soundRecordFollows(position: number): boolean {
    if (position >= this.#limit) return false;
    const buffer = new Uint8Array(SCAN_BUFFER_BYTES);
    const ahead = new SalvageReader(this.file, {
      format: this.format,
      from: position,
      limit: this.#limit,
      buffer,
    });
    for (;;) {
      const step = ahead.next();
      if (step !== 'gap') return step !== 'end';
    }
  }
}

export interface Survey {
  /** Header position where reading stops for now; in front of an announcement that has no amount yet. */
  readonly end: number;
  /** Damage was passed. */
  readonly gaps: number;
}

/** What survey() is asked to do. */
export interface SurveyOptions {
  readonly file: StoreFile;
  readonly format: StoreFormat;
  readonly until: number;
  /** Hands out deleted records too. */
  readonly opensDeleted: boolean;
  readonly buffer: Uint8Array;
  readonly visit: (record: MutableRecord, position: number, isDeleted: boolean) => void;
}

/** Reads what is in the file now, up to `until`, in one go and without waiting for anything. */
export const survey = ({ file, format, until, opensDeleted, buffer, visit }: SurveyOptions): Survey => {
  const limit = Math.min(until, file.size());
  const reader = new SalvageReader(file, {
    format,
    from: FIRST_RECORD_POSITION,
    limit,
    opensDeleted,
    buffer,
  });
  let end = FIRST_RECORD_POSITION;
  let gaps = 0;
  for (;;) {
    const step = reader.next();
    if (step === 'end') return { end, gaps };
    if (step === 'gap') {
      if (reader.gap.atEnd) return { end, gaps };
      gaps++;
    } else if (step === 'live' && reader.restored === 'completed') {
      return { end, gaps };
    } else if (step === 'live' || (step === 'deleted' && reader.record.type !== 0)) {
      visit(reader.record, reader.position, step === 'deleted');
    }
    // An announcement is read again with its amount.
    if (step !== 'live' || reader.record.type !== MESSAGE_TYPE.channel_announcement) end = reader.end;
    else if (reader.end >= limit) return { end, gaps };
  }
};
