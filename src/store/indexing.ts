/**
 * StoreIndexer: keeps the sidecar NAME.index up to date behind the running store, and asks it what damage has cost.
 *
 * upkeep gives it turns. It follows the file like a reader, up to what is durable, and notes every record; the writer tells it
 * of flags and timestamps as they reach the file. A sidecar from before is gone on with only when it was sealed by a clean
 * stop and covers this file: then it is first compared with the file's headers, because a deleted flag that nobody set is
 * damage that no checksum shows. Otherwise a new one is made, in the background. The store does not depend on any
 * of it: a sidecar that the disk refuses is tried again after RETRY_MS. A stop is sealed with a token (sidecar_seal.ts) only when
 * all of the file has been read by then and nothing in it contradicted checksums or sidecar.
 */

import { readU32 } from '../base/bytes.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { QUERY_FLAG } from '../wire/query_short_channel_ids.ts';
import { FLAG_DELETED, RECORD_HEADER_BYTES } from '../wire/store_record.ts';
import { FIRST_RECORD_POSITION, STORE_VERSION } from './format.ts';
import type { Gap } from './salvage_reader.ts';
import { compareHeaders, type IndexEntry, type Sidecar } from './sidecar.ts';
import { readSidecar } from './sidecar_reader.ts';
import { sealToken } from './sidecar_seal.ts';
import { SidecarWriter } from './sidecar_writer.ts';
import type { StoreFile, StoreFolder } from './store_file.ts';
import type { StoreFormat } from './versions.ts';
import { MIN_WALK_BUFFER_BYTES, RecordWalker } from './walker.ts';

/** Some 4 ms. */
const TURN_BYTES = 4 * 1024 * 1024;
const RETRY_MS = 60_000;
/** Of the headers looked at, so many hundredths must agree, or the sidecar is of another history. */
const AGREE_PERCENT = 90;
/**
 * Changes that are remembered while a sidecar is compared with the file, at most for some seconds after a start: all records of
 * the public network, some 20 MB. Beyond, it is made anew.
 */
const MAX_MEANWHILE = 262_144;

/** What was lost and is to be asked for again. */
export interface LostGossip {
  readonly scidHi: number;
  readonly scidLo: number;
  /** QUERY_FLAG bits (BOLT 7, query_flags). */
  readonly flags: number;
}

/** A node_announcement that was lost: the first 8 bytes of the node id behind its parity byte, as two halves. */
export interface LostNode {
  readonly keyHi: number;
  readonly keyLo: number;
}

export interface Losses {
  readonly channels: readonly LostGossip[];
  readonly nodes: readonly LostNode[];
}

/** All that there is about a channel. */
export const LOST_CHANNEL =
  QUERY_FLAG.channel_announcement | QUERY_FLAG.channel_update_1 | QUERY_FLAG.channel_update_2;

/** What was in the ranges, by the sidecar; undefined where there is none that knows. Throws nothing. */
export const lossesIn = (
  folder: StoreFolder,
  name: string,
  uuid: Uint8Array,
  file: StoreFile,
  format: StoreFormat,
  gaps: readonly Gap[],
): Losses | undefined => {
  const read = readSidecar(folder, name, uuid, format.version);
  const sidecar = 'sidecar' in read ? read.sidecar : read.reason === 'damaged' ? read.prefix : undefined;
  if (sidecar === undefined || !isOfThisFile(sidecar, file)) return undefined;
  return lossesOf(gaps.flatMap(({ position, length }) => sidecar.between(position, position + length)));
};

/** Version 14 and 15 have no uuid: whether the sidecar is of this file shows in its headers. */
const isOfThisFile = (sidecar: Sidecar, file: StoreFile): boolean => {
  const { compared, agree } = compareHeaders(sidecar, file);
  return compared === 0 || agree * 100 >= compared * AGREE_PERCENT;
};

const lossesOf = (entries: readonly IndexEntry[]): Losses => {
  const channels: LostGossip[] = [];
  const nodes: LostNode[] = [];
  for (const { type, flags, keyHi, keyLo, direction } of entries) {
    if ((flags & FLAG_DELETED) !== 0) continue;
    const wanted = (bits: number): unknown => channels.push({ scidHi: keyHi, scidLo: keyLo, flags: bits });
    if (type === MESSAGE_TYPE.node_announcement) nodes.push({ keyHi, keyLo });
    else if (type === MESSAGE_TYPE.channel_update)
      wanted(direction === 0 ? QUERY_FLAG.channel_update_1 : QUERY_FLAG.channel_update_2);
    else if (type === MESSAGE_TYPE.channel_announcement) wanted(LOST_CHANNEL);
  }
  return { channels, nodes };
};

/** The file as the writer has it. */
export interface IndexedStore {
  readonly file: StoreFile;
  readonly format: StoreFormat;
  readonly uuid: Uint8Array;
  readonly durableBytes: number;
  readonly deadBytes: number;
}

export interface IndexerPorts {
  readonly folder: StoreFolder;
  readonly name: string;
  readonly log: Log;
  readonly meter: Meter;
  readonly store: IndexedStore;
  /** Nobody has read the file at the start. */
  readonly fromSnapshot: boolean;
  /** Records that are deleted in the file although nobody deleted them. @param position header position of the first */
  readonly onLost: (losses: Losses, position: number) => void;
}

export class StoreIndexer {
  readonly #ports: IndexerPorts;
  #writer: SidecarWriter | undefined;
  /** Compared with the file before it is gone on with. */
  #checking: Sidecar | undefined;
  #checked = FIRST_RECORD_POSITION;
  readonly #flipped: IndexEntry[] = [];
  /** What the writer changed since the comparison began; by header position. */
  readonly #flagsMeanwhile = new Map<number, number>();
  readonly #timestampsMeanwhile = new Map<number, { readonly crc: number; readonly timestamp: number }>();
  /** Something in the file is not as it should be: the next load is to look at all of it. */
  #sawDamage = false;
  #isFirst = true;
  #retryAtMs = 0;
  readonly #buffer = new Uint8Array(MIN_WALK_BUFFER_BYTES);

  constructor(ports: IndexerPorts) {
    this.#ports = ports;
  }

  /** Header position up to which the sidecar is written. */
  get coveredTo(): number {
    return this.#writer?.coveredTo ?? 0;
  }

  /** Some milliseconds of work. Throws what reading the store throws. */
  turn(nowMs: number): void {
    if (this.#checking !== undefined) {
      this.#check(this.#checking);
      return;
    }
    if (this.#writer === undefined) {
      if (nowMs < this.#retryAtMs) return;
      this.#retryAtMs = nowMs + RETRY_MS;
      this.#begin();
      return;
    }
    this.#follow(this.#writer, TURN_BYTES);
    this.#flush(this.#writer);
  }

  /** The writer has set flags in the header at `position`. */
  onFlags(position: number, flags: number): void {
    if (!this.#isRemembering) {
      this.#writer?.setFlags(position, flags);
      return;
    }
    this.#flagsMeanwhile.set(position, (this.#flagsMeanwhile.get(position) ?? 0) | flags);
    this.#boundMeanwhile();
  }

  onTimestamp(position: number, crc: number, timestamp: number): void {
    if (!this.#isRemembering) {
      this.#writer?.setTimestamp(position, crc, timestamp);
      return;
    }
    this.#timestampsMeanwhile.set(position, { crc, timestamp });
    this.#boundMeanwhile();
  }

  /** The file has a successor: a sidecar of its own is made. */
  onSwitch(): void {
    this.#drop();
    this.#retryAtMs = 0;
  }

  /**
   * At a clean stop, with everything durable: covers all of the file and says so. Failures are told and cost nothing else.
   * Resolves with the token of the seal when the file was found to be sound throughout.
   */
  async seal(): Promise<string | undefined> {
    try {
      if (this.#writer === undefined && this.#checking === undefined) this.#begin();
      while (this.#checking !== undefined) this.#check(this.#checking);
      const writer = this.#writer;
      if (writer === undefined) return undefined;
      this.#follow(writer, Number.MAX_SAFE_INTEGER);
      const { store } = this.#ports;
      if (writer.coveredTo !== store.durableBytes) return undefined;
      await writer.seal(store.deadBytes);
      const isTied = writer.isAlive && !this.#sawDamage && store.format.version === STORE_VERSION;
      return isTied ? sealToken(store.uuid, writer.coveredTo, writer.checksum) : undefined;
    } catch (error) {
      this.#failed(error);
      return undefined;
    } finally {
      this.#drop();
    }
  }

  #drop(): void {
    this.#writer?.close();
    this.#writer = undefined;
    this.#checking = undefined;
    this.#flipped.length = 0;
    this.#flagsMeanwhile.clear();
    this.#timestampsMeanwhile.clear();
  }

  /** A sidecar is, or may yet be, compared with the file: it must not be written to, nor our own changes taken for damage. */
  get #isRemembering(): boolean {
    return this.#checking !== undefined || this.#isFirst;
  }

  #boundMeanwhile(): void {
    if (this.#flagsMeanwhile.size + this.#timestampsMeanwhile.size <= MAX_MEANWHILE) return;
    // Deleted records that nobody deleted go unnoticed: the next load passes over them.
    this.#sawDamage = true;
    this.#isFirst = false;
    this.#drop();
  }

  #begin(): void {
    const { folder, name, store } = this.#ports;
    if (this.#isFirst) {
      this.#isFirst = false;
      const read = readSidecar(folder, name, store.uuid, store.format.version);
      if ('sidecar' in read && read.sidecar.sealed && read.sidecar.coveredTo <= store.durableBytes) {
        if (isOfThisFile(read.sidecar, store.file)) {
          this.#checking = read.sidecar;
          this.#checked = FIRST_RECORD_POSITION;
          return;
        }
      }
      // What a snapshot holds was compared with nothing then.
      if (this.#ports.fromSnapshot) this.#sawDamage = true;
    }
    this.#drop();
    this.#writer = SidecarWriter.create(folder, name, store.uuid, store.format.version);
  }

  /** Compares flags with what the clean stop left. */
  #check(sidecar: Sidecar): void {
    const { store, onLost, log } = this.#ports;
    const walker = this.#walkFrom(this.#checked);
    const stopAt = this.#checked + TURN_BYTES;
    const end = Math.min(sidecar.coveredTo, store.durableBytes);
    while (walker.position < stopAt && walker.position < end) {
      const { position } = walker;
      const step = walker.step(end);
      if (step === 'deleted') this.#checkDeleted(sidecar, position);
      else if (step === 'live' || step === 'malformed') {
        // One that was deleted and is not any more: a load flags it again.
        if (sidecar.nextLive(position) !== position) this.#sawDamage = true;
      } else if (step === 'bad_checksum') {
        this.#sawDamage = true;
        walker.skipBadRecord();
      } else {
        // Damage: the scrub sees it too, and the file gets a successor.
        this.#sawDamage = true;
        this.#drop();
        return;
      }
    }
    this.#checked = walker.position;
    if (walker.position < end) return;
    const [first] = this.#flipped;
    if (first === undefined) {
      this.#resume(sidecar);
      return;
    }
    const flipped = [...this.#flipped];
    this.#drop();
    this.#ports.meter.count('gossipd_store_flipped_flags_total', undefined, flipped.length);
    log.unusual(
      `${flipped.length} records of the store are flagged deleted although nobody deleted them: memory or disk may be failing. ` +
        'They are fetched again; no funds are in this file',
    );
    onLost(lossesOf(flipped), first.position);
  }

  /** A record that is deleted in the file. */
  #checkDeleted(sidecar: Sidecar, position: number): void {
    if (((this.#flagsMeanwhile.get(position) ?? 0) & FLAG_DELETED) !== 0) return;
    const entry = sidecar.at(position);
    if (entry !== undefined && (entry.flags & FLAG_DELETED) === 0) this.#flipped.push(entry);
  }

  /** Goes on with the sidecar, which agrees with the file but for what the writer changed since. */
  #resume(sidecar: Sidecar): void {
    const { folder, name } = this.#ports;
    const writer = SidecarWriter.resume(folder, name, sidecar);
    for (const [position, flags] of this.#flagsMeanwhile) writer.setFlags(position, flags);
    for (const [position, { crc, timestamp }] of this.#timestampsMeanwhile)
      writer.setTimestamp(position, crc, timestamp);
    this.#drop();
    this.#writer = writer;
  }

  #walkFrom(position: number): RecordWalker {
    const { file, format } = this.#ports.store;
    return new RecordWalker(file, position, this.#buffer, true, format.hasCompleted);
  }

  /** Notes what has become durable since. */
  #follow(writer: SidecarWriter, most: number): void {
    const end = this.#ports.store.durableBytes;
    const from = Math.max(FIRST_RECORD_POSITION, writer.coveredTo);
    if (from >= end) return;
    const walker = this.#walkFrom(from);
    while (walker.position < end && walker.position - from < most) {
      const step = walker.step(end);
      if (step === 'bad_checksum') {
        this.#sawDamage = true;
        walker.skipBadRecord();
        continue;
      }
      if (step !== 'live' && step !== 'deleted' && step !== 'malformed') return;
      const { record } = walker;
      // A deleted record whose checksum does not hold is not looked into.
      const crc = record.bytes.length === 0 ? 0 : readU32(record.bytes, record.at - RECORD_HEADER_BYTES + 4);
      writer.add(record, crc);
    }
  }

  #flush(writer: SidecarWriter): void {
    try {
      writer.flush();
      if (writer.shouldCompact) writer.compact();
    } catch (error) {
      this.#failed(error);
      this.#drop();
    }
  }

  #failed(error: unknown): void {
    this.#ports.meter.count('gossipd_store_index_failures_total');
    this.#ports.log.debug('the index beside the store could not be written; it is tried again', {
      reason: error instanceof Error ? error.message : String(error),
    });
  }
}
