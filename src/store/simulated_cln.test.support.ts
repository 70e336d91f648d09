/**
 * A writer of gossip_stores that does what CLN's does, in single steps, for tests of readers.
 *
 * Tests run some steps, let a reader look, and run more. A record is written whole or torn in pieces; from version 15 on with
 * flags 0, then completed by one byte; before that in one torn write. Flags are set afterwards. Compaction copies into a new file in
 * two parts, the second with the tombstones that came meanwhile, renames it and puts an end marker into the old inode; flags set
 * between the parts are at first not in the new file, as in CLN v26.04. `live` is what the complete records say, by one text for each.
 */
import { concatBytes } from '../base/bytes.ts';
import type { Rng } from '../base/rng.ts';
import { scidHi, scidLo, scidToText } from '../base/short_channel_id.ts';
import {
  encodeChanDying,
  encodeChannelAmount,
  encodeDeleteChan,
  encodeEnded,
  encodeUuid,
} from '../wire/gossip_store_messages.ts';
import { FLAG_COMPLETED, FLAG_DELETED } from '../wire/store_record.ts';
import { encodeRecord } from './format.ts';
import type { MemoryFolder } from './memory_folder.test.support.ts';
import type { StoreFile } from './store_file.ts';
import { announcementOf, nodeOf, sampleScid, updateOf } from './store_samples.test.support.ts';

interface Written {
  position: number;
  readonly message: Uint8Array;
  timestamp: number;
  isDeleted: boolean;
  /** What it is about: `a7`, `u7/0`, `n3`, `d7`, `amount`, `tombstone`. */
  readonly subject: string;
}

/** One thing after which a reader may look. */
type Step = () => void;

const NAME = 'gossip_store';

export class SimulatedCln {
  /** Subject to the record's text: a7 -> `channel_announcement 100007x1x0`, … */
  readonly live = new Map<string, string>();
  compactions = 0;
  /** A node_announcement is flagged and not yet there again: nobody can know of it now. */
  isMoving = false;
  readonly #folder: MemoryFolder;
  readonly #version: number;
  readonly #rng: Rng;
  #file: StoreFile;
  #size = 0;
  #records: Written[] = [];
  #clock = 1_700_000_000;
  #steps: Step[] = [];
  #channels = 0;

  constructor(folder: MemoryFolder, version: number, rng: Rng) {
    this.#folder = folder;
    this.#version = version;
    this.#rng = rng;
    this.#file = folder.open(NAME, 'create');
    this.#file.write(Uint8Array.of(version), 0);
    this.#size = 1;
    if (version >= 16) this.#appendNow('uuid', encodeUuid(rng.bytes(32)), 0);
  }

  /** Runs one step; begins something new when nothing is under way. */
  step(): void {
    if (this.#steps.length === 0) this.#begin();
    this.#steps.shift()?.();
  }

  /** Runs what is under way to its end. */
  finish(): void {
    while (this.#steps.length > 0) this.#steps.shift()?.();
  }

  /** Replaces the file by its live records, while nobody looks. `tombstones` of the old file are dropped. */
  compactAtOnce(): void {
    this.finish();
    this.#compact();
    this.finish();
  }

  get isIdle(): boolean {
    return this.#steps.length === 0;
  }

  #draw(below: number): number {
    return Math.floor(this.#rng.fraction() * below);
  }

  #begin(): void {
    const choice = this.#draw(100);
    if (choice < 3) this.#compact();
    else this.#change(choice);
  }

  #change(choice: number): void {
    const channels = [...this.live.keys()].filter((key) => key.startsWith('a'));
    const channel = Number((channels[this.#draw(channels.length)] ?? 'a0').slice(1));
    if (channels.length < 3 || choice < 20) this.#announce();
    else if (choice < 70) this.#update(channel, this.#draw(2) as 0 | 1);
    else if (choice < 82) this.#node(this.#draw(12));
    else if (choice < 86) this.#moveNode();
    else if (choice < 91) this.#dying(channel);
    else this.#remove(channel);
  }

  #announce(): void {
    // Half the time a channel that was removed comes back, with the same announcement.
    const gone = [...Array(this.#channels).keys()].filter((number) => !this.live.has(`a${number}`));
    const number =
      gone.length > 0 && this.#draw(2) === 0 ? (gone[this.#draw(gone.length)] ?? 0) : this.#channels++;
    this.#append(`a${number}`, announcementOf(number), 0);
    this.#append('amount', encodeChannelAmount(BigInt(1000 + number)), 0, () =>
      this.live.set(`a${number}`, `channel_announcement ${scidToText(sampleScid(number))} ${1000 + number}`),
    );
  }

  #update(number: number, direction: 0 | 1): void {
    const timestamp = ++this.#clock;
    const subject = `u${number}/${direction}`;
    const isFirst = !this.live.has(`u${number}/0`) && !this.live.has(`u${number}/1`);
    const old = this.#find(subject);
    this.#append(subject, updateOf(number, direction, timestamp), timestamp, () =>
      this.live.set(subject, `channel_update ${scidToText(sampleScid(number))} ${direction} ${timestamp}`),
    );
    this.#deleteLater(old);
    const announcement = this.#find(`a${number}`);
    if (isFirst && announcement !== undefined) this.#setTimestamp(announcement, timestamp);
  }

  #node(number: number): void {
    const timestamp = ++this.#clock;
    const old = this.#find(`n${number}`);
    this.#append(`n${number}`, nodeOf(number, timestamp), timestamp, () =>
      this.live.set(`n${number}`, `node_announcement ${number} ${timestamp}`),
    );
    this.#deleteLater(old);
  }

  /** Flagged first, and appended again as it was: what CLN does when a node's first channel goes. */
  #moveNode(): void {
    const nodes = [...this.live.keys()].filter((key) => key.startsWith('n'));
    const old = this.#find(nodes[this.#draw(nodes.length)] ?? '');
    if (old === undefined) return;
    this.#steps.push(() => {
      this.isMoving = true;
    });
    this.#deleteLater(old);
    this.#append(old.subject, old.message, old.timestamp, () => {
      this.isMoving = false;
    });
  }

  #dying(number: number): void {
    if (this.live.has(`d${number}`)) return;
    const scid = sampleScid(number);
    const deadline = this.#draw(1000) + 1;
    this.#append(`d${number}`, encodeChanDying(scidHi(scid), scidLo(scid), deadline), 0, () =>
      this.live.set(`d${number}`, `channel_dying ${scidToText(scid)} ${deadline}`),
    );
  }

  #remove(number: number): void {
    const scid = sampleScid(number);
    const subjects = [`a${number}`, `u${number}/0`, `u${number}/1`, `d${number}`];
    const dead = this.#records.filter((record) => !record.isDeleted && subjects.includes(record.subject));
    this.#append('tombstone', encodeDeleteChan(scidHi(scid), scidLo(scid)), 0, () => {
      for (const subject of subjects) this.live.delete(subject);
    });
    for (const record of dead) {
      this.#deleteLater(record);
      if (record.subject.startsWith('a')) this.#deleteLater(this.#records[this.#records.indexOf(record) + 1]);
    }
  }

  #find(subject: string): Written | undefined {
    return this.#records.findLast((record) => record.subject === subject && !record.isDeleted);
  }

  get #writtenFlags(): number {
    return this.#version >= 15 ? FLAG_COMPLETED : 0;
  }

  #appendNow(subject: string, message: Uint8Array, timestamp: number): void {
    const bytes = encodeRecord(timestamp, message, this.#writtenFlags);
    this.#file.write(bytes, this.#size);
    this.#records.push({ position: this.#size, message, timestamp, isDeleted: false, subject });
    this.#size += bytes.length;
  }

  #append(subject: string, message: Uint8Array, timestamp: number, then: Step = () => {}): void {
    const bytes = encodeRecord(timestamp, message, 0);
    let position = 0;
    const pieces = this.#draw(3);
    const cuts = Array.from({ length: pieces }, () => this.#draw(bytes.length)).sort((a, b) => a - b);
    const complete = (): void => {
      this.#records.push({ position, message, timestamp, isDeleted: false, subject });
      this.#size = position + bytes.length;
      then();
    };
    [0, ...cuts].forEach((from, index) => {
      const to = cuts[index] ?? bytes.length;
      this.#steps.push(() => {
        if (from === 0) position = this.#size;
        if (to > from) this.#file.write(bytes.subarray(from, to), position + from);
        if (to === bytes.length && this.#version < 15) complete();
      });
    });
    if (this.#version < 15) return;
    this.#steps.push(() => {
      this.#file.write(Uint8Array.of(FLAG_COMPLETED >>> 8), position);
      complete();
    });
  }

  #deleteLater(record: Written | undefined): void {
    if (record === undefined) return;
    this.#steps.push(() => {
      record.isDeleted = true;
      this.#writeHeader(record, 12);
    });
  }

  /** Twelve bytes, not at once. */
  #setTimestamp(record: Written, timestamp: number): void {
    this.#steps.push(() => {
      record.timestamp = timestamp;
      this.#writeHeader(record, 7);
    });
    this.#steps.push(() => this.#writeHeader(record, 12));
  }

  #writeHeader(record: Written, bytes: number): void {
    const flags = this.#writtenFlags | (record.isDeleted ? FLAG_DELETED : 0);
    const header = encodeRecord(record.timestamp, record.message, flags).subarray(0, bytes);
    // Between the two parts of a compaction the old file changes, and the new one keeps what was copied.
    this.#file.write(header, record.position);
  }

  #compact(): void {
    const uuid = this.#rng.bytes(32);
    let copied: Written[] = [];
    let bytes: Uint8Array[] = [];
    let size = 0;
    let upTo = 0;
    const origins: Written[] = [];
    const copy = (record: Written): void => {
      const encoded = encodeRecord(record.timestamp, record.message, this.#writtenFlags);
      copied.push({ ...record, position: size });
      origins.push(record);
      bytes.push(encoded);
      size += encoded.length;
    };
    this.#steps.push(() => {
      bytes = [Uint8Array.of(this.#version)];
      size = 1;
      copied = [];
      origins.length = 0;
      if (this.#version >= 16)
        copy({ position: 0, message: encodeUuid(uuid), timestamp: 0, isDeleted: false, subject: 'uuid' });
      upTo = this.#records.length;
      for (const record of this.#records) {
        if (!record.isDeleted && record.subject !== 'tombstone' && record.subject !== 'uuid') copy(record);
      }
    });
    for (let changes = this.#version >= 16 ? this.#draw(3) : 0; changes > 0; changes--) {
      this.#steps.push(() => {
        const rest = this.#steps;
        this.#steps = [];
        this.#change(this.#draw(100));
        this.#steps.push(...rest);
      });
    }
    this.#steps.push(() => {
      for (const record of this.#records.slice(upTo)) if (!record.isDeleted) copy(record);
      const old = this.#file;
      const end = this.#size;
      this.#file = this.#folder.open('gossip_store.compact', 'create');
      this.#file.write(concatBytes(...bytes), 0);
      this.#folder.rename('gossip_store.compact', NAME);
      [this.#records, this.#size] = [copied, size];
      this.compactions++;
      const ended = encodeEnded(BigInt(size), this.#version >= 16 ? uuid : undefined);
      this.#steps.unshift(() => old.write(encodeRecord(0, ended, this.#writtenFlags), end));
      // Otherwise the next compaction, which drops the tombstones, would bring dead records back to life.
      origins.forEach((origin, index) => {
        if (origin.isDeleted) this.#deleteLater(copied[index]);
      });
    });
  }
}
