/**
 * Sidecar: what NAME.index said about a store when it was read: position, length, flags, checksum, type and key of every record.
 *
 * readSidecar makes it; the store, the salvage reader and repair ask it where a record whose length field is damaged ends,
 * which channels were in a range that cannot be read, and where the next live record is. It is advice: who uses an
 * answer checks it against the file, because a power cut can leave the sidecar older or newer than the store.
 * Entries cover the store from header position 1 to `coveredTo` without holes. Deleted records in a row may be merged into
 * one entry; ranges that hold no record are known as such and never handed out.
 * Memory: 26 bytes for each entry. Positions are exact beyond 4 GiB.
 */
import { FLAG_DELETED, RECORD_HEADER_BYTES } from '../wire/store_record.ts';
import { headerLength } from './format.ts';
import {
  ENTRY_DIRECTION,
  ENTRY_FLAGS,
  ENTRY_GAP,
  ENTRY_NO_RECORD,
  ENTRY_RUN,
  HIGH_HALF,
} from './sidecar_format.ts';
import type { StoreFile } from './store_file.ts';

export interface IndexEntry {
  /** Header position. */
  readonly position: number;
  /** Of the message; of merged records, all their bytes but the first header, so that position + 12 + length is the end. */
  readonly length: number;
  readonly flags: number;
  /** 0 for deleted records that were merged or whose message was not looked into. */
  readonly type: number;
  /** Of the record's header; 0 for merged records, like what follows. */
  readonly crc: number;
  readonly timestamp: number;
  /**
   * Halves of the short_channel_id; of an amount, of the announcement in front of it; of a node_announcement the first 8 bytes
   * of the node id behind its parity byte. 0 for others.
   */
  readonly keyHi: number;
  readonly keyLo: number;
  /** Of a channel_update. */
  readonly direction: 0 | 1;
  /** 1, or how many deleted records in a row this entry stands for. */
  readonly records: number;
}

type MutableEntry = { -readonly [key in keyof IndexEntry]: IndexEntry[key] };

/** The columns, one element for each entry. */
export interface SidecarColumns {
  readonly positionLo: Uint32Array;
  readonly crc: Uint32Array;
  readonly timestamp: Uint32Array;
  readonly keyHi: Uint32Array;
  readonly keyLo: Uint32Array;
  readonly length: Uint16Array;
  readonly type: Uint16Array;
  readonly flags: Uint16Array;
}

/** Where a writer goes on. */
export interface SidecarTail {
  /** Length of the part of the sidecar that holds. */
  readonly end: number;
  /** Bytes behind it that do not. */
  readonly torn: number;
  readonly sequence: number;
  readonly crc: number;
}

export interface SidecarContent {
  readonly uuid: Uint8Array;
  readonly storeVersion: number;
  readonly columns: SidecarColumns;
  readonly entries: number;
  /** Element k: the first entry whose position is at least (k + 1) * 2^32. */
  readonly crossings: readonly number[];
  readonly records: number;
  readonly coveredTo: number;
  readonly sealed: boolean;
  readonly tail: SidecarTail;
}

const emptyEntry = (): MutableEntry => ({
  position: 0,
  length: 0,
  flags: 0,
  type: 0,
  crc: 0,
  timestamp: 0,
  keyHi: 0,
  keyLo: 0,
  direction: 0,
  records: 1,
});

/** Index of the first entry at or behind `position`; `entries` if there is none. */
export const firstEntryAt = (
  positionLo: Uint32Array,
  crossings: readonly number[],
  entries: number,
  position: number,
): number => {
  const high = Math.floor(Math.max(0, position) / HIGH_HALF);
  const low = Math.max(0, position) - high * HIGH_HALF;
  let from = high === 0 ? 0 : (crossings[high - 1] ?? entries);
  let to = crossings[high] ?? entries;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((positionLo[middle] as number) < low) from = middle + 1;
    else to = middle;
  }
  return from;
};

export class Sidecar {
  /** Header position: end of the last record covered. */
  readonly coveredTo: number;
  /** The writer stopped cleanly, after it had noted everything. */
  readonly sealed: boolean;
  /** Records covered, merged ones counted one by one. */
  readonly count: number;
  /** Entries in memory. */
  readonly entries: number;
  readonly storeVersion: number;

  readonly #content: SidecarContent;
  /** Where the last question was answered: questions mostly come in order. */
  #near = 0;

  constructor(content: SidecarContent) {
    this.#content = content;
    this.coveredTo = content.coveredTo;
    this.sealed = content.sealed;
    this.count = content.records;
    this.entries = content.entries;
    this.storeVersion = content.storeVersion;
  }

  /** For the writer that goes on with this file. */
  get content(): SidecarContent {
    return this.#content;
  }

  /** The record whose header is at `position`; undefined for a place where none starts, and for merged ones. */
  at(position: number): IndexEntry | undefined {
    const index = this.#recordAt(position);
    return index < 0 ? undefined : this.#fill(emptyEntry(), index);
  }

  /** Message length of the record whose header is at `position`, without making an entry of it. */
  lengthAt(position: number): number | undefined {
    const index = this.#recordAt(position);
    return index < 0 ? undefined : (this.#content.columns.length[index] as number);
  }

  /** The entries of which a byte lies in [start, end), in order; the first and the last may reach beyond. */
  between(start: number, end: number): IndexEntry[] {
    const found: IndexEntry[] = [];
    if (end <= start) return found;
    let index = this.#lowerBound(start);
    if (index > 0 && this.#endOf(index - 1) > start) index--;
    for (; index < this.entries && this.#positionOf(index) < end; index++) {
      if (((this.#content.columns.flags[index] as number) & ENTRY_GAP) === 0)
        found.push(this.#fill(emptyEntry(), index));
    }
    return found;
  }

  /** Header position of the first record at or behind `position` that is not deleted; `coveredTo` if there is none. */
  nextLive(position: number): number {
    const { flags } = this.#content.columns;
    let index = this.#lowerBound(position);
    while (index < this.entries && ((flags[index] as number) & (FLAG_DELETED | ENTRY_NO_RECORD)) !== 0)
      index++;
    this.#near = index;
    return index < this.entries ? this.#positionOf(index) : this.coveredTo;
  }

  /** All entries in order. @param visit gets one and the same object each time, borrowed until it returns */
  forEach(visit: (entry: IndexEntry) => void): void {
    const entry = emptyEntry();
    const { flags } = this.#content.columns;
    for (let index = 0; index < this.entries; index++) {
      if (((flags[index] as number) & ENTRY_GAP) === 0) visit(this.#fill(entry, index));
    }
  }

  /** Index of the single record at `position`, or -1. */
  #recordAt(position: number): number {
    const index = this.#lowerBound(position);
    if (index >= this.entries || this.#positionOf(index) !== position) return -1;
    return ((this.#content.columns.flags[index] as number) & ENTRY_NO_RECORD) === 0 ? index : -1;
  }

  #lowerBound(position: number): number {
    for (let index = this.#near; index < this.#near + 2 && index < this.entries; index++) {
      if (this.#positionOf(index) === position) {
        this.#near = index;
        return index;
      }
    }
    const { columns, crossings, entries } = this.#content;
    this.#near = firstEntryAt(columns.positionLo, crossings, entries, position);
    return this.#near;
  }

  #positionOf(index: number): number {
    const { crossings, columns } = this.#content;
    let high = 0;
    while (high < crossings.length && (crossings[high] as number) <= index) high++;
    return (columns.positionLo[index] as number) + high * HIGH_HALF;
  }

  #endOf(index: number): number {
    return index + 1 < this.entries ? this.#positionOf(index + 1) : this.coveredTo;
  }

  #fill(entry: MutableEntry, index: number): IndexEntry {
    const { columns } = this.#content;
    const flags = columns.flags[index] as number;
    const isRun = (flags & ENTRY_RUN) !== 0;
    entry.position = this.#positionOf(index);
    entry.flags = flags & ENTRY_FLAGS;
    entry.type = columns.type[index] as number;
    entry.timestamp = columns.timestamp[index] as number;
    entry.length = isRun
      ? this.#endOf(index) - entry.position - RECORD_HEADER_BYTES
      : (columns.length[index] as number);
    entry.crc = isRun ? 0 : (columns.crc[index] as number);
    entry.keyHi = isRun ? 0 : (columns.keyHi[index] as number);
    entry.keyLo = isRun ? 0 : (columns.keyLo[index] as number);
    entry.direction = (flags & ENTRY_DIRECTION) !== 0 ? 1 : 0;
    entry.records = isRun ? (columns.crc[index] as number) : 1;
    return entry;
  }
}

/** So many headers tell one store from another. */
const HEADERS_COMPARED = 64;

/**
 * Compares headers of records all over the covered part with what the file has there: how many of how many agree in length.
 * A store of another history agrees in almost none, a damaged one in all but few. Throws what reading throws.
 */
export const compareHeaders = (
  sidecar: Sidecar,
  file: StoreFile,
): { readonly compared: number; readonly agree: number } => {
  const header = new Uint8Array(RECORD_HEADER_BYTES);
  let [compared, agree] = [0, 0];
  for (let sample = 0; sample < HEADERS_COMPARED; sample++) {
    const position = sidecar.nextLive(Math.floor((sidecar.coveredTo * sample) / HEADERS_COMPARED));
    const length = sidecar.lengthAt(position);
    if (length === undefined) continue;
    compared++;
    const got = file.read(header, 0, header.length, position);
    if (got === header.length && headerLength(header, 0) === length) agree++;
  }
  return { compared, agree };
};
