/**
 * FlagSweep: finds channels whose announcement was flagged DELETED without any record that says so.
 *
 * Versions 7 and 8 delete that way. tail.ts calls it when everything is read: each time it looks at the headers of some
 * announcements it has told, in the order of its table, and begins again at the end. A flag can be seen before the tombstone
 * that explains it is read, so what is found is given back by a later call, after the file was read to its end once more.
 * Bounds: SLOTS_A_CALL slots, 1 to 2 ms; all of a mainnet store in 64 calls.
 */
import { readU16 } from '../base/bytes.ts';
import {
  channelAnnouncementScidHi,
  channelAnnouncementScidLo,
  checkChannelAnnouncement,
} from '../wire/channel_announcement.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { FLAG_DELETED, RECORD_HEADER_BYTES } from '../wire/store_record.ts';
import { headerFlags, headerLength } from './format.ts';
import { KEY_KIND, type ReportedTable } from './reported_table.ts';
import type { StoreFile } from './store_file.ts';

const SLOTS_A_CALL = 4096;

interface Flagged {
  readonly hi: number;
  readonly lo: number;
  readonly position: number;
}

export class FlagSweep {
  readonly #table: ReportedTable;
  readonly #header = new Uint8Array(RECORD_HEADER_BYTES + 2);
  #slot = 0;
  /** Found by the sweep before, to be given out now. */
  #ready: Flagged[] = [];
  #found: Flagged[] = [];
  #isSwept = false;

  constructor(table: ReportedTable) {
    this.#table = table;
  }

  /** Another file, or another place in it. */
  restart(): void {
    this.#slot = 0;
    this.#ready = [];
    this.#found = [];
    this.#isSwept = false;
  }

  /**
   * To be called until it gives nothing, each time everything was read. Gives channels that were found flagged before,
   * and still are. Throws what reading throws.
   */
  next(file: StoreFile): Flagged | undefined {
    if (!this.#isSwept) {
      this.#ready = this.#found;
      this.#found = [];
    }
    this.#isSwept = true;
    for (let flagged = this.#ready.pop(); flagged !== undefined; flagged = this.#ready.pop()) {
      const slot = this.#table.find(KEY_KIND.announcement, flagged.hi, flagged.lo);
      if (slot >= 0 && this.#table.positionAt(slot) === flagged.position && isDeleted(file, flagged))
        return flagged;
    }
    this.#sweep(file);
    this.#isSwept = false;
    return undefined;
  }

  #sweep(file: StoreFile): void {
    const table = this.#table;
    const header = this.#header;
    for (let count = Math.min(SLOTS_A_CALL, table.slots); count > 0; count--) {
      if (this.#slot >= table.slots) this.#slot = 0;
      const slot = this.#slot++;
      if (table.kindAt(slot) !== KEY_KIND.announcement) continue;
      const position = table.positionAt(slot);
      if (position === 0 || file.read(header, 0, header.length, position) < header.length) continue;
      if ((headerFlags(header, 0) & FLAG_DELETED) === 0) continue;
      if (readU16(header, RECORD_HEADER_BYTES) !== MESSAGE_TYPE.channel_announcement) continue;
      this.#found.push({ hi: table.hiAt(slot), lo: table.loAt(slot), position });
    }
  }
}

/** True if this very announcement lies there, deleted. */
const isDeleted = (file: StoreFile, { hi, lo, position }: Flagged): boolean => {
  const header = new Uint8Array(RECORD_HEADER_BYTES);
  if (file.read(header, 0, RECORD_HEADER_BYTES, position) < RECORD_HEADER_BYTES) return false;
  if ((headerFlags(header, 0) & FLAG_DELETED) === 0) return false;
  const length = headerLength(header, 0);
  const message = new Uint8Array(length);
  if (length < 2 || file.read(message, 0, length, position + RECORD_HEADER_BYTES) < length) return false;
  return (
    readU16(message, 0) === MESSAGE_TYPE.channel_announcement &&
    checkChannelAnnouncement(message, 0, length) === undefined &&
    channelAnnouncementScidHi(message, 0) === hi &&
    channelAnnouncementScidLo(message, 0) === lo
  );
};
