/**
 * SidecarBlock: the entries and changes that the next block of a sidecar will have, as columns, and its bytes.
 *
 * sidecar_writer adds to it, takes the bytes and clears it; it asks for room first. Nothing is allocated after construction:
 * 360 KiB of columns and bytes. Entries follow each other without holes: where the store has one, an entry says so. Deleted
 * records in a row become one entry as they are added.
 */
import { readU32 } from '../base/bytes.ts';
import { channelAnnouncementScidHi, channelAnnouncementScidLo } from '../wire/channel_announcement.ts';
import { channelUpdateDirection, channelUpdateScidHi, channelUpdateScidLo } from '../wire/channel_update.ts';
import { deleteChanScidHi, deleteChanScidLo } from '../wire/gossip_store_messages.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { nodeAnnouncementNodeIdAt } from '../wire/node_announcement.ts';
import {
  FLAG_DELETED,
  GOSSIP_STORE_CHAN_DYING,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  GOSSIP_STORE_DELETE_CHAN,
  RECORD_HEADER_BYTES,
  type StoreRecord,
} from '../wire/store_record.ts';
import { FIRST_RECORD_POSITION } from './format.ts';
import type { SidecarColumns } from './sidecar.ts';
import { blockChecksum } from './sidecar_checksum.ts';
import {
  BLOCK_CHANGES,
  BLOCK_ENTRIES,
  BLOCK_HEADER_BYTES,
  BLOCK_KIND,
  BLOCK_MAGIC,
  blockSize,
  END_DOUBLE,
  ENTRY_DIRECTION,
  ENTRY_FLAGS,
  ENTRY_GAP,
  ENTRY_NO_RECORD,
  ENTRY_RUN,
  entrySpan,
  HIGH_HALF,
  LARGEST_BLOCK_BYTES,
  START_DOUBLE,
  WORD,
} from './sidecar_format.ts';

/** Fields of the key lie in front of these lengths; shorter messages have no key. */
const UPDATE_KEY_BYTES = 112;
const SCID_KEY_BYTES = 10;
const ANNOUNCEMENT_KEY_BYTES = 300;
const NODE_KEY_BYTES = 8;

export class SidecarBlock {
  /** Header positions: where the first entry starts, and behind the last one. */
  start = FIRST_RECORD_POSITION;
  end = FIRST_RECORD_POSITION;
  entries = 0;
  changes = 0;
  /** Key of the announcement that was added last; 0 when something else came since. */
  #announcedHi = 0;
  #announcedLo = 0;

  readonly #position = new Float64Array(BLOCK_ENTRIES);
  readonly #entryCrc = new Uint32Array(BLOCK_ENTRIES);
  readonly #timestamp = new Uint32Array(BLOCK_ENTRIES);
  readonly #keyHi = new Uint32Array(BLOCK_ENTRIES);
  readonly #keyLo = new Uint32Array(BLOCK_ENTRIES);
  readonly #length = new Uint16Array(BLOCK_ENTRIES);
  readonly #type = new Uint16Array(BLOCK_ENTRIES);
  readonly #flags = new Uint16Array(BLOCK_ENTRIES);
  readonly #changePosition = new Float64Array(BLOCK_CHANGES);
  readonly #changeCrc = new Uint32Array(BLOCK_CHANGES);
  readonly #changeTimestamp = new Uint32Array(BLOCK_CHANGES);
  readonly #changeFlags = new Uint16Array(BLOCK_CHANGES);

  readonly #block = new Uint8Array(Math.ceil(LARGEST_BLOCK_BYTES / 8) * 8);
  readonly #words = new Uint32Array(this.#block.buffer);
  readonly #signed = new Int32Array(this.#block.buffer);
  readonly #halves = new Uint16Array(this.#block.buffer);
  readonly #doubles = new Float64Array(this.#block.buffer);

  get hasRoom(): boolean {
    return this.entries < BLOCK_ENTRIES;
  }

  get hasRoomForChange(): boolean {
    return this.changes < BLOCK_CHANGES;
  }

  get isEmpty(): boolean {
    return this.entries + this.changes === 0;
  }

  /** What is added next follows what was there. */
  clear(): void {
    this.entries = 0;
    this.changes = 0;
    this.start = this.end;
  }

  /** Begins at this header position. */
  restart(position: number): void {
    this.end = position;
    this.clear();
    this.#forgetAnnouncement();
  }

  /** The record behind the last entry. @param record borrowed @param crc of its header */
  addRecord(record: StoreRecord, crc: number): void {
    const { type, flags, length, timestamp } = record;
    const index = this.#next(RECORD_HEADER_BYTES + length);
    if ((flags & FLAG_DELETED) !== 0 && this.#mergeDeleted(index, RECORD_HEADER_BYTES + length, 1)) return;
    this.#entryCrc[index] = crc;
    this.#timestamp[index] = timestamp;
    this.#length[index] = length;
    this.#type[index] = type;
    this.#flags[index] = flags & ENTRY_FLAGS;
    this.#keyHi[index] = 0;
    this.#keyLo[index] = 0;
    this.#setKey(index, record);
    this.entries = index + 1;
  }

  /** Bytes without a record. */
  addGap(bytes: number): void {
    this.#addSpan(ENTRY_GAP, bytes, 0);
  }

  /** An entry as a sidecar has it. */
  addEntry(from: SidecarColumns, at: number): void {
    const flags = from.flags[at] as number;
    const length = from.length[at] as number;
    const keyHi = from.keyHi[at] as number;
    const keyLo = from.keyLo[at] as number;
    const crc = from.crc[at] as number;
    const span = entrySpan(flags, length, keyHi, keyLo);
    if ((flags & ENTRY_NO_RECORD) !== 0) {
      this.#addSpan(flags, span, crc);
      return;
    }
    const index = this.#next(span);
    if ((flags & FLAG_DELETED) !== 0 && this.#mergeDeleted(index, span, 1)) return;
    this.#entryCrc[index] = crc;
    this.#timestamp[index] = from.timestamp[at] as number;
    this.#keyHi[index] = keyHi;
    this.#keyLo[index] = keyLo;
    this.#length[index] = length;
    this.#type[index] = from.type[at] as number;
    this.#flags[index] = flags;
    this.entries = index + 1;
  }

  /** Sets flags of a record that is in this block, or notes the change of an earlier one. */
  setFlags(position: number, flags: number): void {
    const index = this.#indexOf(position);
    if (index >= 0) this.#flags[index] = (this.#flags[index] as number) | flags;
    else if (position < this.start) this.#change(position, flags, 0, 0);
  }

  /** As setFlags, for checksum and timestamp. */
  setTimestamp(position: number, crc: number, timestamp: number): void {
    const index = this.#indexOf(position);
    if (index >= 0) {
      this.#entryCrc[index] = crc;
      this.#timestamp[index] = timestamp;
    } else if (position < this.start) this.#change(position, 0, crc, timestamp);
  }

  /**
   * The bytes of this block; borrowed until the next call. A block that is no data has neither entries nor changes, and the
   * pending ones stay. `crc` is set afterwards.
   *
   * @param note 32 bits
   */
  encode(kind: number, previous: number, sequence: number, note = 0): Uint8Array {
    const isData = kind === BLOCK_KIND.data;
    const entries = isData ? this.entries : 0;
    const changes = isData ? this.changes : 0;
    const size = blockSize(entries, changes);
    const words = this.#words;
    words.fill(0, 0, BLOCK_HEADER_BYTES / 4);
    // The padding behind an odd number of columns.
    words[size / 4 - 2] = 0;
    words[size / 4 - 1] = 0;
    words[WORD.magic] = BLOCK_MAGIC;
    words[WORD.previous] = previous;
    words[WORD.sequence] = sequence;
    words[WORD.entries] = entries;
    words[WORD.changes] = changes;
    words[WORD.kind] = kind;
    words[WORD.note] = note;
    this.#doubles[START_DOUBLE] = this.start;
    this.#doubles[END_DOUBLE] = isData ? this.end : this.start;
    this.#putColumns(entries, changes);
    words[WORD.crc] = blockChecksum(this.#signed, 2, size / 4);
    return this.#block.subarray(0, size);
  }

  /** Of the block that was encoded last. */
  get crc(): number {
    return this.#words[WORD.crc] as number;
  }

  /** Index of an entry that takes `bytes` of the store. */
  #next(bytes: number): number {
    this.#position[this.entries] = this.end;
    this.end += bytes;
    return this.entries;
  }

  #forgetAnnouncement(): void {
    this.#announcedHi = 0;
    this.#announcedLo = 0;
  }

  #setKey(index: number, { bytes, at, length, type }: StoreRecord): void {
    const hi = this.#announcedHi;
    const lo = this.#announcedLo;
    this.#forgetAnnouncement();
    if (type === MESSAGE_TYPE.channel_update) {
      if (length < UPDATE_KEY_BYTES) return;
      this.#keyHi[index] = channelUpdateScidHi(bytes, at);
      this.#keyLo[index] = channelUpdateScidLo(bytes, at);
      if (channelUpdateDirection(bytes, at) === 1)
        this.#flags[index] = (this.#flags[index] as number) | ENTRY_DIRECTION;
    } else if (type === GOSSIP_STORE_CHANNEL_AMOUNT) {
      this.#keyHi[index] = hi;
      this.#keyLo[index] = lo;
    } else if (type === MESSAGE_TYPE.channel_announcement) {
      if (length < ANNOUNCEMENT_KEY_BYTES) return;
      this.#announcedHi = channelAnnouncementScidHi(bytes, at);
      this.#announcedLo = channelAnnouncementScidLo(bytes, at);
      this.#keyHi[index] = this.#announcedHi;
      this.#keyLo[index] = this.#announcedLo;
    } else if (type === MESSAGE_TYPE.node_announcement) {
      const id = nodeAnnouncementNodeIdAt(bytes, at) + 1;
      if (id + NODE_KEY_BYTES > at + length) return;
      this.#keyHi[index] = readU32(bytes, id);
      this.#keyLo[index] = readU32(bytes, id + 4);
    } else if (type === GOSSIP_STORE_DELETE_CHAN || type === GOSSIP_STORE_CHAN_DYING) {
      if (length < SCID_KEY_BYTES) return;
      this.#keyHi[index] = deleteChanScidHi(bytes, at);
      this.#keyLo[index] = deleteChanScidLo(bytes, at);
    }
  }

  #addSpan(flags: number, bytes: number, records: number): void {
    const index = this.#next(bytes);
    if ((flags & ENTRY_RUN) !== 0 && this.#mergeDeleted(index, bytes, records)) return;
    const high = Math.floor(bytes / HIGH_HALF);
    this.#entryCrc[index] = records;
    this.#timestamp[index] = 0;
    this.#length[index] = 0;
    this.#type[index] = 0;
    this.#flags[index] = flags;
    this.#keyHi[index] = high;
    this.#keyLo[index] = bytes - high * HIGH_HALF;
    this.#forgetAnnouncement();
    this.entries = index + 1;
  }

  /** Makes one entry of `bytes` more deleted bytes and the entry before `index`, if that is deleted as well. */
  #mergeDeleted(index: number, bytes: number, records: number): boolean {
    const last = index - 1;
    if (last < 0) return false;
    const flags = this.#flags[last] as number;
    if ((flags & FLAG_DELETED) === 0 || (flags & ENTRY_GAP) !== 0) return false;
    const before = entrySpan(
      flags,
      this.#length[last] as number,
      this.#keyHi[last] as number,
      this.#keyLo[last] as number,
    );
    const all = before + bytes;
    const high = Math.floor(all / HIGH_HALF);
    this.#entryCrc[last] = ((flags & ENTRY_RUN) === 0 ? 1 : (this.#entryCrc[last] as number)) + records;
    this.#flags[last] = FLAG_DELETED | ENTRY_RUN;
    this.#length[last] = 0;
    this.#type[last] = 0;
    this.#timestamp[last] = 0;
    this.#keyHi[last] = high;
    this.#keyLo[last] = all - high * HIGH_HALF;
    this.#forgetAnnouncement();
    return true;
  }

  /** Index of the record at `position` in this block, or -1. */
  #indexOf(position: number): number {
    if (position < this.start) return -1;
    let from = 0;
    let to = this.entries;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.#position[middle] as number) < position) from = middle + 1;
      else to = middle;
    }
    const isRecord =
      from < this.entries &&
      this.#position[from] === position &&
      ((this.#flags[from] as number) & ENTRY_NO_RECORD) === 0;
    return isRecord ? from : -1;
  }

  #change(position: number, flags: number, crc: number, timestamp: number): void {
    const index = this.changes++;
    this.#changePosition[index] = position;
    this.#changeFlags[index] = flags;
    this.#changeCrc[index] = crc;
    this.#changeTimestamp[index] = timestamp;
  }

  #putColumns(entries: number, changes: number): void {
    const double = BLOCK_HEADER_BYTES / 8;
    this.#doubles.set(this.#changePosition.subarray(0, changes), double);
    let word = (double + changes) * 2;
    this.#words.set(this.#changeCrc.subarray(0, changes), word);
    this.#words.set(this.#changeTimestamp.subarray(0, changes), word + changes);
    word += 2 * changes;
    this.#words.set(this.#entryCrc.subarray(0, entries), word);
    this.#words.set(this.#timestamp.subarray(0, entries), word + entries);
    this.#words.set(this.#keyHi.subarray(0, entries), word + 2 * entries);
    this.#words.set(this.#keyLo.subarray(0, entries), word + 3 * entries);
    let half = (word + 4 * entries) * 2;
    this.#halves.set(this.#changeFlags.subarray(0, changes), half);
    half += changes;
    this.#halves.set(this.#length.subarray(0, entries), half);
    this.#halves.set(this.#type.subarray(0, entries), half + entries);
    this.#halves.set(this.#flags.subarray(0, entries), half + 2 * entries);
  }
}
