/**
 * readSidecar: NAME.index into a Sidecar, or the reason why it cannot be used.
 *
 * The store calls it at start, tools when they meet damage. It changes nothing. Blocks are taken for as long as each has the
 * right checksum, number and predecessor and covers the store without holes; a last block that was cut off by a crash, or
 * zeros that a power cut left there, are passed over in silence: what is in front of them is what was noted before. Anything
 * else that does not fit is damage; what was read up to there is handed back for those who search a damaged store.
 * Memory: one window of 256 KiB, and 26 bytes for each entry.
 */
import { OperationalError } from '../base/errors.ts';
import { FIRST_RECORD_POSITION } from './format.ts';
import { firstEntryAt, Sidecar, type SidecarColumns } from './sidecar.ts';
import { blockChecksum } from './sidecar_checksum.ts';
import {
  BLOCK_CHANGES,
  BLOCK_ENTRIES,
  BLOCK_HEADER_BYTES,
  BLOCK_KIND,
  BLOCK_MAGIC,
  blockSize,
  END_DOUBLE,
  ENTRY_BYTES,
  ENTRY_FLAGS,
  ENTRY_GAP,
  ENTRY_NO_RECORD,
  ENTRY_RUN,
  entrySpan,
  HIGH_HALF,
  judgeSidecarHeader,
  SIDECAR_HEADER_BYTES,
  START_DOUBLE,
  sidecarHeaderCrc,
  sidecarName,
  WORD,
} from './sidecar_format.ts';
import type { StoreFile, StoreFolder } from './store_file.ts';

export type SidecarResult =
  | { readonly sidecar: Sidecar }
  | { readonly reason: 'missing' | 'other_file' | 'unreadable' }
  /** `prefix`: what is in front of the damage, where the sidecar is known to belong to this store. */
  | { readonly reason: 'damaged'; readonly prefix?: Sidecar };

/**
 * Reads and verifies the sidecar of the store file `name`. Never throws for what is in it, or for what the disk refuses.
 *
 * @param uuid 32 bytes that tell this store from others, compared and not looked into
 */
export const readSidecar = (
  folder: StoreFolder,
  name: string,
  uuid: Uint8Array,
  storeVersion: number,
): SidecarResult => {
  let file: StoreFile | undefined;
  try {
    if (!folder.exists(sidecarName(name))) return { reason: 'missing' };
    file = folder.open(sidecarName(name), 'read');
    const header = new Uint8Array(SIDECAR_HEADER_BYTES);
    if (file.read(header, 0, header.length, 0) < header.length) return { reason: 'damaged' };
    const judged = judgeSidecarHeader(header, uuid, storeVersion);
    if (judged !== 'ours') return { reason: judged };
    const reading = new Reading(file, sidecarHeaderCrc(header));
    const isWhole = reading.run();
    const sidecar = reading.sidecar(uuid, storeVersion);
    return isWhole ? { sidecar } : { reason: 'damaged', prefix: sidecar };
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    return { reason: error.code === 'store_missing' ? 'missing' : 'unreadable' };
  } finally {
    file?.close();
  }
};

const WINDOW_BYTES = 256 * 1024;
/** Room for so many entries is made at once on the word of the file's length; more only as blocks prove to be sound. */
const TRUSTED_ENTRIES = 1 << 20;

const newColumns = (capacity: number): SidecarColumns => ({
  positionLo: new Uint32Array(capacity),
  crc: new Uint32Array(capacity),
  timestamp: new Uint32Array(capacity),
  keyHi: new Uint32Array(capacity),
  keyLo: new Uint32Array(capacity),
  length: new Uint16Array(capacity),
  type: new Uint16Array(capacity),
  flags: new Uint16Array(capacity),
});

const resized = (from: SidecarColumns, entries: number, capacity: number): SidecarColumns => {
  const to = newColumns(capacity);
  to.positionLo.set(from.positionLo.subarray(0, entries));
  to.crc.set(from.crc.subarray(0, entries));
  to.timestamp.set(from.timestamp.subarray(0, entries));
  to.keyHi.set(from.keyHi.subarray(0, entries));
  to.keyLo.set(from.keyLo.subarray(0, entries));
  to.length.set(from.length.subarray(0, entries));
  to.type.set(from.type.subarray(0, entries));
  to.flags.set(from.flags.subarray(0, entries));
  return to;
};

/** Below this a loop is faster than making a view to copy from. */
const SMALL_COPY = 48;

const copyColumn = <T extends Uint32Array | Uint16Array>(
  to: T,
  at: number,
  from: T,
  start: number,
  count: number,
): void => {
  if (count >= SMALL_COPY) to.set(from.subarray(start, start + count), at);
  else for (let index = 0; index < count; index++) to[at + index] = from[start + index] as number;
};

/** 2^52: bounds the list of crossings for a file that claims anything. */
const FARTHEST_POSITION = 2 ** 52;

/** One pass over the blocks. */
class Reading {
  readonly #file: StoreFile;
  readonly #size: number;
  readonly #window = new Uint8Array(WINDOW_BYTES);
  readonly #words = new Uint32Array(this.#window.buffer);
  readonly #signed = new Int32Array(this.#window.buffer);
  readonly #halves = new Uint16Array(this.#window.buffer);
  readonly #doubles = new Float64Array(this.#window.buffer);
  #windowAt = 0;
  #filled = 0;

  /** Position in the sidecar of the next block. */
  #at = SIDECAR_HEADER_BYTES;
  #crc: number;
  #sequence = 0;
  #columns: SidecarColumns;
  #capacity: number;
  #entries = 0;
  #records = 0;
  readonly #crossings: number[] = [];
  #coveredTo = FIRST_RECORD_POSITION;
  #sealed = false;

  constructor(file: StoreFile, headerCrc: number) {
    this.#file = file;
    this.#size = file.size();
    this.#crc = headerCrc;
    this.#capacity = Math.min(Math.ceil(this.#size / ENTRY_BYTES), TRUSTED_ENTRIES);
    this.#columns = newColumns(this.#capacity);
  }

  /** False when there is damage that no crash of the writer leaves. */
  run(): boolean {
    for (;;) {
      const left = this.#size - this.#at;
      if (left <= 0) return true;
      const size = this.#blockAt(left);
      if (size === 0) return this.#isTorn(left);
      if (!this.#take(size)) return size === left;
      this.#at += size;
    }
  }

  sidecar(uuid: Uint8Array, storeVersion: number): Sidecar {
    if (this.#capacity > this.#entries + (this.#entries >> 3) + 1024)
      this.#columns = resized(this.#columns, this.#entries, this.#entries);
    const torn = Math.max(0, this.#size - this.#at);
    return new Sidecar({
      uuid: uuid.slice(),
      storeVersion,
      columns: this.#columns,
      entries: this.#entries,
      crossings: this.#crossings,
      records: this.#records,
      coveredTo: this.#coveredTo,
      sealed: this.#sealed && torn === 0,
      tail: { end: this.#at, torn, sequence: this.#sequence, crc: this.#crc },
    });
  }

  /** Brings the block at #at into the window; its size, or 0 if none can be framed there. */
  #blockAt(left: number): number {
    if (left < BLOCK_HEADER_BYTES || !this.#have(BLOCK_HEADER_BYTES)) return 0;
    const word = (this.#at - this.#windowAt) / 4;
    const entries = this.#words[word + WORD.entries] as number;
    const changes = this.#words[word + WORD.changes] as number;
    if (this.#words[word + WORD.magic] !== BLOCK_MAGIC) return 0;
    if (entries > BLOCK_ENTRIES || changes > BLOCK_CHANGES) return 0;
    const size = blockSize(entries, changes);
    return size <= left && this.#have(size) ? size : 0;
  }

  /** What is left after the last block that could be framed: a block of which the rest is missing, or zeros. */
  #isTorn(left: number): boolean {
    if (left < BLOCK_HEADER_BYTES) return true;
    const word = (this.#at - this.#windowAt) / 4;
    const entries = this.#words[word + WORD.entries] as number;
    const changes = this.#words[word + WORD.changes] as number;
    const isBlock =
      this.#filled >= BLOCK_HEADER_BYTES &&
      this.#words[word + WORD.magic] === BLOCK_MAGIC &&
      entries <= BLOCK_ENTRIES &&
      changes <= BLOCK_CHANGES;
    return isBlock ? blockSize(entries, changes) > left : this.#onlyZerosFrom(this.#at);
  }

  #onlyZerosFrom(start: number): boolean {
    const piece = new Uint8Array(WINDOW_BYTES);
    for (let position = start; position < this.#size; position += piece.length) {
      const got = this.#file.read(piece, 0, Math.min(piece.length, this.#size - position), position);
      for (let index = 0; index < got; index++) if (piece[index] !== 0) return false;
      if (got === 0) return true;
    }
    return true;
  }

  /** Verifies the block in the window and adds what it says; false, and nothing added, if it does not fit. */
  #take(size: number): boolean {
    const start = this.#at - this.#windowAt;
    const word = start / 4;
    const words = this.#words;
    if (
      words[word + WORD.previous] !== this.#crc ||
      words[word + WORD.sequence] !== this.#sequence ||
      this.#doubles[start / 8 + START_DOUBLE] !== this.#coveredTo ||
      blockChecksum(this.#signed, word + 2, word + size / 4) !== words[word + WORD.crc]
    ) {
      return false;
    }
    const entries = words[word + WORD.entries] as number;
    const changes = words[word + WORD.changes] as number;
    if (entries > 0 && !this.#addEntries(start, entries, changes)) return false;
    if (changes > 0) this.#applyChanges(start, entries, changes);
    this.#crc = words[word + WORD.crc] as number;
    this.#sequence++;
    this.#sealed = words[word + WORD.kind] === BLOCK_KIND.sealed;
    return true;
  }

  #addEntries(start: number, count: number, changes: number): boolean {
    const to = this.#entries;
    if (to + count > this.#capacity) {
      this.#capacity = to + Math.max(count, to >> 1);
      this.#columns = resized(this.#columns, to, this.#capacity);
    }
    const columns = this.#columns;
    const first = (start + BLOCK_HEADER_BYTES + changes * 16) / 4;
    copyColumn(columns.crc, to, this.#words, first, count);
    copyColumn(columns.timestamp, to, this.#words, first + count, count);
    copyColumn(columns.keyHi, to, this.#words, first + 2 * count, count);
    copyColumn(columns.keyLo, to, this.#words, first + 3 * count, count);
    const half = (first + 4 * count) * 2 + changes;
    copyColumn(columns.length, to, this.#halves, half, count);
    copyColumn(columns.type, to, this.#halves, half + count, count);
    copyColumn(columns.flags, to, this.#halves, half + 2 * count, count);
    return this.#place(to, to + count, this.#doubles[start / 8 + END_DOUBLE] as number);
  }

  /** Works out the positions of the entries [from, to), which must end at `end`. */
  #place(from: number, to: number, end: number): boolean {
    const { positionLo, length, flags, keyHi, keyLo, crc } = this.#columns;
    const crossings = this.#crossings.length;
    if (!Number.isSafeInteger(end) || end > FARTHEST_POSITION) return false;
    let low = this.#coveredTo - crossings * HIGH_HALF;
    let records = 0;
    for (let index = from; index < to; index++) {
      while (low >= HIGH_HALF) {
        low -= HIGH_HALF;
        this.#crossings.push(index);
      }
      positionLo[index] = low;
      const flag = flags[index] as number;
      low += entrySpan(flag, length[index] as number, keyHi[index] as number, keyLo[index] as number);
      if ((flag & ENTRY_NO_RECORD) === 0) {
        records++;
        continue;
      }
      if ((flag & ENTRY_RUN) !== 0) records += crc[index] as number;
      if (low + this.#crossings.length * HIGH_HALF > end) break;
    }
    if (low + this.#crossings.length * HIGH_HALF !== end) {
      this.#crossings.length = crossings;
      return false;
    }
    // The entry that will follow starts at `end`; a crossing in front of it is noted when it comes.
    this.#coveredTo = end;
    this.#entries = to;
    this.#records += records;
    return true;
  }

  #applyChanges(start: number, entries: number, count: number): void {
    const { flags, crc, timestamp, positionLo } = this.#columns;
    const double = (start + BLOCK_HEADER_BYTES) / 8;
    const word = (double + count) * 2;
    const half = (word + 2 * count + 4 * entries) * 2;
    for (let change = 0; change < count; change++) {
      const position = this.#doubles[double + change] as number;
      const index = firstEntryAt(positionLo, this.#crossings, this.#entries, position);
      // An entry of a later high half can have the same low half only behind a hole of 4 GiB.
      if (index >= this.#entries || positionLo[index] !== position % HIGH_HALF) continue;
      if (((flags[index] as number) & ENTRY_GAP) !== 0) continue;
      const set = (this.#halves[half + change] as number) & ENTRY_FLAGS;
      if (set !== 0) flags[index] = (flags[index] as number) | set;
      else if (((flags[index] as number) & ENTRY_RUN) === 0) {
        crc[index] = this.#words[word + change] as number;
        timestamp[index] = this.#words[word + count + change] as number;
      }
    }
  }

  /** Makes `wanted` bytes from #at on available in the window; false if the file has fewer. */
  #have(wanted: number): boolean {
    const start = this.#at - this.#windowAt;
    if (start + wanted <= this.#filled) return true;
    const keep = Math.max(0, this.#filled - start);
    if (keep > 0) this.#window.copyWithin(0, start, this.#filled);
    this.#windowAt = this.#at;
    const length = Math.min(WINDOW_BYTES - keep, this.#size - this.#at - keep);
    this.#filled = keep + this.#file.read(this.#window, keep, length, this.#at + keep);
    return this.#filled >= wanted;
  }
}
