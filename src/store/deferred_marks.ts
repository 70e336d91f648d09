/**
 * DeferredMarks: changes to records that are already in the file, held back until what justifies them is durable.
 *
 * gossip_store queues a mark with the file position up to which the file must be on disk first, and applies what is due
 * after each sync. A power cut can keep any of the writes that were not synced and lose the others: were an update flagged
 * DELETED before its replacement is durable, both could be gone. Until a mark is in the file, readers of ours ask
 * `flagsOf`, and readers of others see the record and its later replacement, of which the later one counts.
 *
 * A flag is one byte written over one byte. A header timestamp is eight (crc and timestamp), which a power cut can tear;
 * torn_timestamp.ts recognises and completes that at load. Bound: the store refuses appends at MAX_MARKS (its `writable`
 * turns false at half of that); each costs about 100 bytes, so 13 MB at most.
 */
import { bytesEqual, readU16, readU32, writeU32 } from '../base/bytes.ts';
import { crc32c } from '../wire/crc32c.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import {
  FLAG_COMPLETED,
  FLAG_DELETED,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  RECORD_HEADER_BYTES,
  type StoreOffset,
} from '../wire/store_record.ts';
import { AMOUNT_RECORD_BYTES, flagByte, headerFlags, headerLength } from './format.ts';
import type { StoreFile } from './store_file.ts';

/** 2^17: ten seconds of the fastest ingest seen, at a sync that takes as long. */
export const MAX_MARKS = 131_072;

interface Mark {
  readonly offset: StoreOffset;
  /** Flags to set; 0 for a change of the header timestamp. */
  readonly flags: number;
  readonly timestamp: number;
  /** For a timestamp: the message was found sound although the checksum in the header is torn. */
  vouched: boolean;
  /** The file must be durable up to here first. */
  readonly after: number;
}

/** Hears of changes once they are in the file; positions are those of headers. */
export interface MarkListener {
  readonly onFlags: (position: number, flags: number) => void;
  readonly onTimestamp: (position: number, crc: number, timestamp: number) => void;
}

const NOBODY: MarkListener = { onFlags: () => {}, onTimestamp: () => {} };

/** What the record at an offset is about to get. */
interface Flagged {
  flags: number;
  /** DELETED is justified by what lies in front of this file position; 0 without DELETED. */
  deletedAfter: number;
}

const HEADER_AND_TYPE_BYTES = RECORD_HEADER_BYTES + 2;

export class DeferredMarks {
  #queue: Mark[] = [];
  /** Index of the first mark not yet applied. */
  #head = 0;
  readonly #flags = new Map<StoreOffset, Flagged>();
  readonly #header = new Uint8Array(HEADER_AND_TYPE_BYTES);
  readonly #byte = new Uint8Array(1);
  /** Marks whose target was no record; stays 0 unless offsets handed in were wrong. */
  misplaced = 0;
  /** Bytes of records that were flagged DELETED, headers included, since the store was opened or replaced. */
  deletedBytes = 0;
  readonly #hasCompleted: boolean;
  readonly #applied: MarkListener;

  /**
   * @param hasCompleted the file's version has the COMPLETED flag
   * @param applied hears what was written
   */
  constructor(hasCompleted = true, applied: MarkListener = NOBODY) {
    this.#hasCompleted = hasCompleted;
    this.#applied = applied;
  }

  get size(): number {
    return this.#queue.length - this.#head;
  }

  /** Flags that the record at `offset` is about to get. */
  flagsOf(offset: StoreOffset): number {
    return this.#flags.size === 0 ? 0 : (this.#flags.get(offset)?.flags ?? 0);
  }

  /** Whether the record at `offset` is to be DELETED for a reason that lies in front of `end`. */
  isDead(offset: StoreOffset, end: number): boolean {
    const flagged = this.#flags.size === 0 ? undefined : this.#flags.get(offset);
    return flagged !== undefined && flagged.deletedAfter !== 0 && flagged.deletedAfter <= end;
  }

  /** DELETED on an announcement also flags the amount behind it. */
  addFlags(offset: StoreOffset, flags: number, after: number): void {
    this.#queue.push({ offset, flags, timestamp: 0, vouched: false, after });
    const before = this.#flags.get(offset);
    const deletedAfter = (flags & FLAG_DELETED) === 0 ? (before?.deletedAfter ?? 0) : after;
    this.#flags.set(offset, { flags: (before?.flags ?? 0) | flags, deletedAfter });
  }

  /**
   * Takes the marks of the file that this one's file succeeds. Those of records that are not in it are dropped.
   *
   * @param translate gives 0 for these
   * @param oldEnd what lay in front of it is in the new file and durable there
   * @param newEnd where that ends now
   */
  takeOver(
    from: DeferredMarks,
    translate: (offset: StoreOffset) => StoreOffset,
    oldEnd: number,
    newEnd: number,
  ): void {
    for (let index = from.#head; index < from.#queue.length; index++) {
      const mark = from.#queue[index] as Mark;
      const offset = translate(mark.offset);
      if (offset === 0) continue;
      const after = mark.after <= oldEnd ? Math.min(newEnd, mark.after) : mark.after + newEnd - oldEnd;
      if (mark.flags === 0) this.addTimestamp(offset, mark.timestamp, after, mark.vouched);
      else this.addFlags(offset, mark.flags, after);
    }
  }

  /** @param vouched the load has found the message sound by other means than the header's checksum */
  addTimestamp(offset: StoreOffset, timestamp: number, after: number, vouched = false): void {
    this.#queue.push({ offset, flags: 0, timestamp, vouched, after });
  }

  /**
   * Applies up to `most` marks that are due; true if any was. Throws what writing throws; the mark that failed stays first.
   *
   * @param durable file position up to which everything is on disk
   */
  apply(file: StoreFile, durable: number, most: number): boolean {
    let applied = 0;
    for (; applied < most; applied++) {
      const mark = this.#queue[this.#head];
      if (mark === undefined || mark.after > durable) break;
      if (mark.flags === 0) this.#setTimestamp(file, mark);
      else this.#setFlags(file, mark.offset, mark.flags);
      this.#head++;
      if (mark.flags !== 0) this.#forget(mark);
    }
    if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return applied > 0;
  }

  /** A record that got two marks keeps its entry until both are in the file. */
  #forget(mark: Mark): void {
    const flagged = this.#flags.get(mark.offset);
    if (flagged === undefined) return;
    flagged.flags &= ~mark.flags;
    if ((mark.flags & FLAG_DELETED) !== 0) flagged.deletedAfter = 0;
    if (flagged.flags === 0) this.#flags.delete(mark.offset);
  }

  /** Header and type of the record whose message is at `offset`, into #header; false if there is none. */
  #readHeader(file: StoreFile, offset: number): boolean {
    const got = file.read(this.#header, 0, HEADER_AND_TYPE_BYTES, offset - RECORD_HEADER_BYTES);
    return (
      got === HEADER_AND_TYPE_BYTES &&
      (!this.#hasCompleted || (headerFlags(this.#header, 0) & FLAG_COMPLETED) !== 0)
    );
  }

  /**
   * Sets timestamps in a file that takes the place of this one and is not in use yet. They stay queued, and change nothing when
   * their turn comes. In the new file they are safe from being torn: it may lack the update that could tell what was meant.
   *
   * @param translate gives the record's offset in the new file, 0 when it is not there
   * @param end what justifies them lies in front of it, and is in the new file
   */
  presetTimestamps(file: StoreFile, translate: (offset: StoreOffset) => StoreOffset, end: number): void {
    for (let index = this.#head; index < this.#queue.length; index++) {
      const mark = this.#queue[index] as Mark;
      if (mark.flags !== 0 || mark.after > end) continue;
      const offset = translate(mark.offset);
      if (offset !== 0) this.#setTimestamp(file, { ...mark, offset }, NOBODY);
    }
  }

  #setFlags(file: StoreFile, offset: StoreOffset, flags: number): void {
    if (!this.#readHeader(file, offset)) {
      this.misplaced++;
      return;
    }
    const current = headerFlags(this.#header, 0);
    const bytes = RECORD_HEADER_BYTES + headerLength(this.#header, 0);
    const type = readU16(this.#header, RECORD_HEADER_BYTES);
    if ((flags & FLAG_DELETED) !== 0 && type === MESSAGE_TYPE.channel_announcement) {
      // The amount goes first: were we to end in between, the load finds an announcement without amount and finishes.
      const amount = offset + bytes;
      if (
        this.#readHeader(file, amount) &&
        readU16(this.#header, RECORD_HEADER_BYTES) === GOSSIP_STORE_CHANNEL_AMOUNT
      ) {
        this.#writeFlags(file, amount, headerFlags(this.#header, 0), FLAG_DELETED, AMOUNT_RECORD_BYTES);
      }
    }
    this.#writeFlags(file, offset, current, flags, bytes);
  }

  #writeFlags(file: StoreFile, offset: number, current: number, flags: number, bytes: number): void {
    if ((current & flags) === flags) return;
    this.#byte[0] = flagByte(current | flags);
    file.write(this.#byte, offset - RECORD_HEADER_BYTES);
    if ((flags & FLAG_DELETED) !== 0) this.deletedBytes += bytes;
    this.#applied.onFlags(offset - RECORD_HEADER_BYTES, flags);
  }

  #setTimestamp(file: StoreFile, mark: Mark, told: MarkListener = this.#applied): void {
    if (!this.#readHeader(file, mark.offset)) {
      this.misplaced++;
      return;
    }
    if ((headerFlags(this.#header, 0) & FLAG_DELETED) !== 0) return;
    const message = new Uint8Array(headerLength(this.#header, 0));
    const got = file.read(message, 0, message.length, mark.offset);
    const crc = crc32c(readU32(this.#header, 8), message, 0, message.length);
    if (got !== message.length || (!mark.vouched && crc !== readU32(this.#header, 4))) {
      // A new checksum over a message that has gone bad would make the damage look sound.
      this.misplaced++;
      return;
    }
    const crcAndTimestamp = new Uint8Array(8);
    writeU32(crcAndTimestamp, 0, crc32c(mark.timestamp, message, 0, message.length));
    writeU32(crcAndTimestamp, 4, mark.timestamp);
    const position = mark.offset - RECORD_HEADER_BYTES + 4;
    if (bytesEqual(crcAndTimestamp, this.#header.subarray(4, 12))) return;
    try {
      file.write(crcAndTimestamp, position);
      told.onTimestamp(position - 4, readU32(crcAndTimestamp, 0), mark.timestamp);
    } catch (error) {
      // The eight bytes may straddle two pages of which one was refused. The next attempt must not judge by their checksum.
      mark.vouched = true;
      this.#restore(file, this.#header.subarray(4, 12), position);
      throw error;
    }
  }

  /** Puts back what a failed write may have half replaced; if that fails too, the next attempt replaces all of it. */
  #restore(file: StoreFile, before: Uint8Array, position: number): void {
    try {
      file.write(before, position);
    } catch {
      // The failure that led here is on its way to the caller already.
    }
  }
}
