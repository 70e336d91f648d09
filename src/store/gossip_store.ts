/**
 * GossipStore: the one writer of a gossip_store file, and the place where its readers get their cursors.
 *
 * ingest/ hands in what it accepted (writer.ts brings it to the disk), queries read messages by offset, followers read by
 * cursor, and upkeep.ts looks after the file. docs/crash_safety.md tells what a crash can leave.
 * Invariants: the file is readable by CLN at every instant; within one file publishedBytes and durableBytes only grow; nothing
 * durable is ever lost. A disk that refuses makes the store `degraded`: memory goes on within MAX_PENDING_BYTES and MAX_MARKS,
 * writing is tried again from 1 s up to every 60 s, and nothing here throws or ends the process.
 * The file may get a successor (succession.ts): to leave damage or dead records behind. All offsets change in that instant;
 * cursors, pending records and marks are moved, and who keeps offsets is told through onRelocate.
 */
import { OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { Rng } from '../base/rng.ts';
import type { Clock } from '../base/time.ts';
import {
  FLAG_DELETED,
  RECORD_HEADER_BYTES,
  type StoreOffset,
  type StoreRecord,
} from '../wire/store_record.ts';
import type { Accepted } from './accepted.ts';
import {
  CURSOR_BUFFER_BYTES,
  type CursorPlace,
  type CursorSource,
  openCursor,
  type StoreCursor,
} from './cursor.ts';
import { FIRST_RECORD_POSITION, headerFlags, headerLength, STORE_NAME } from './format.ts';
import { type Losses, StoreIndexer } from './indexing.ts';
import { type LoadReport, type OpenedStore, openStoreFile } from './opening.ts';
import { readMessageAt } from './read_message.ts';
import type { StoreFolder, StoreLock } from './store_file.ts';
import type { Successor } from './succession.ts';
import { Upkeep } from './upkeep.ts';
import type { WritableVersion } from './versions.ts';
import { StoreWriter } from './writer.ts';

export interface GossipStoreOptions {
  readonly folder: StoreFolder;
  /** `gossip_store` unless given. */
  readonly name?: string;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly meter: Meter;
  /** Longest time that published records stay unsynced, in milliseconds; 1000 unless given. */
  readonly syncIntervalMs?: number;
  /** False leaves the writer's lock alone; for tests. */
  readonly lock?: boolean;
  /** Version of the file to write; 16 unless given. 14 and 15 are for use beside a CLN that reads these. */
  readonly version?: WritableVersion;
  /**
   * Called in the turn in which the file gets a successor, before anything else sees it. `translate` gives 0 for a record that is
   * not in it. Returns the new offsets of records that mean nothing any more: they are flagged DELETED.
   */
  readonly onRelocate?: (translate: Translate) => readonly StoreOffset[];
  /** Records were found lost in the running store that no relocation tells of: see StoreIndexer. */
  readonly onLost?: (losses: Losses) => void;
  /**
   * Called by open when the file is exactly what a clean stop left, before anything of it is read. True: the caller has all that is
   * in it, as `sealToken` named it then; nothing is visited, and the running store verifies the file in the background.
   */
  readonly restore?: (token: string) => boolean;
  /** How often the store looks after itself, in milliseconds: 1000 unless given; 0 is never, and keeps no index. */
  readonly upkeepMs?: number;
}

export type Translate = (offset: StoreOffset) => StoreOffset;

const SYNC_INTERVAL_MS = 1000;
const UPKEEP_MS = 1000;
const SPARE_CURSOR_BUFFERS = 8;
/** Every cursor meets the same bad record: the meter counts all, the log names some. */
const BAD_RECORDS_LOGGED = 16;

export class GossipStore {
  readonly name: string;
  /** For messages to people: folder and name. */
  readonly path: string;
  readonly loadReport: LoadReport;

  readonly #options: GossipStoreOptions;
  readonly #log: Log;
  readonly #meter: Meter;
  readonly #lock: StoreLock | undefined;
  readonly #writer: StoreWriter;
  readonly #upkeep: Upkeep;
  readonly #indexer: StoreIndexer;
  readonly #keepsIndex: boolean;
  readonly #source: CursorSource;
  readonly #cursors = new Set<CursorPlace>();
  readonly #spareBuffers: Uint8Array[] = [];
  #closing: Promise<void> | undefined;
  #badRecords = 0;
  #generation = 0;
  #quarantined: string | undefined;
  #sealToken: string | undefined;

  private constructor(options: GossipStoreOptions, opened: OpenedStore, lock: StoreLock | undefined) {
    const { folder, clock, rng, log, meter } = options;
    this.name = options.name ?? STORE_NAME;
    this.path = `${folder.path}/${this.name}`;
    this.#options = options;
    this.#log = log;
    this.#meter = meter;
    this.#lock = lock;
    this.loadReport = opened.report;
    this.#writer = new StoreWriter(
      {
        ...{ folder, clock, rng, log, meter },
        name: this.name,
        version: options.version ?? 16,
        syncIntervalMs: options.syncIntervalMs ?? SYNC_INTERVAL_MS,
        onSwitch: (successor) => this.#onSwitch(successor),
        marked: {
          onFlags: (position, flags) => this.#indexer.onFlags(position, flags),
          onTimestamp: (position, crc, timestamp) => this.#indexer.onTimestamp(position, crc, timestamp),
        },
        beforeClose: async () => {
          if (this.#keepsIndex) this.#sealToken = await this.#indexer.seal();
        },
        oldestCursor: () => {
          let oldest = Number.POSITIVE_INFINITY;
          for (const place of this.#cursors) oldest = Math.min(oldest, place.position());
          return oldest;
        },
      },
      opened,
    );
    this.#source = this.#cursorSource();
    this.#indexer = new StoreIndexer({
      ...{ folder, log, meter },
      name: this.name,
      store: this.#writer,
      fromSnapshot: opened.report.fromSnapshot,
      onLost: (losses, position) => {
        // Who has restored a snapshot still counts on these records: the successor tells what is not there.
        if (opened.report.fromSnapshot) this.#upkeep.damaged(position);
        else options.onLost?.(losses);
      },
    });
    this.#keepsIndex = (options.upkeepMs ?? UPKEEP_MS) > 0;
    this.#upkeep = new Upkeep({
      ...{ folder, clock, rng, log, meter },
      name: this.name,
      writer: this.#writer,
      indexer: this.#indexer,
    });
  }

  /**
   * Takes the lock, creates or loads the file, hands every live record to `visit` in file order, and repairs what a crash or a
   * bad disk left. Resolves once what was loaded is durable, or the store is degraded. A file that has to be written anew
   * (damage, another version) gets its successor before this resolves, if the disk allows: `onRelocate` is called then.
   *
   * Throws OperationalError: `store_locked`; `store_version_unsupported` for what is no gossip_store or of a later major
   * version, with nothing touched; or a disk that refuses to be read, or refuses the first bytes of a new store.
   */
  static async open(options: GossipStoreOptions, visit: (record: StoreRecord) => void): Promise<GossipStore> {
    const name = options.name ?? STORE_NAME;
    const log = options.log.part('store');
    const lock = options.lock === false ? undefined : options.folder.lock(`${name}.lock`, log);
    try {
      const { folder, clock, rng } = options;
      const opened = await openStoreFile(
        { folder, name, version: options.version ?? 16, clock, rng, log, restore: options.restore },
        visit,
      );
      const store = new GossipStore({ ...options, log }, opened, lock);
      await store.#writer.drain();
      store.#reportLoad();
      const upkeepMs = options.upkeepMs ?? UPKEEP_MS;
      if (upkeepMs > 0) store.#upkeep.start(upkeepMs);
      return store;
    } catch (error) {
      lock?.release();
      throw error;
    }
  }

  /** 32 bytes that name this file, not to be written to; a successor has its own. Zeros below version 16. */
  get uuid(): Uint8Array {
    return this.#writer.uuid;
  }

  /** Version of the file as it is. */
  get version(): number {
    return this.#writer.format.version;
  }

  /** File length that readers may see. */
  get publishedBytes(): number {
    return this.#writer.publishedBytes;
  }

  /** File length that survives a power cut. */
  get durableBytes(): number {
    return this.#writer.durableBytes;
  }

  /** Bytes that are in memory only. */
  get pendingBytes(): number {
    return this.#writer.pending.bytes;
  }

  /** Of the published bytes, those of deleted records: a rewrite would win them back. */
  get deadBytes(): number {
    return this.#writer.deadBytes;
  }

  /** Successors that the file has had since it was opened. */
  get generation(): number {
    return this.#generation;
  }

  /** Name of the newest index of damaged bytes that were set aside, in the store's folder. */
  get quarantined(): string | undefined {
    return this.#quarantined;
  }

  /**
   * After close(): names exactly what is in the file, for as long as nobody writes to it (sidecar_seal.ts). Undefined when the
   * stop was not clean, or anything in the file was found to be damaged.
   */
  get sealToken(): string | undefined {
    return this.#sealToken;
  }

  get state(): 'ok' | 'degraded' {
    return this.#writer.trouble === undefined ? 'ok' : 'degraded';
  }

  /** Why the store is degraded, for people. */
  get stateReason(): string | undefined {
    return this.#writer.trouble;
  }

  /** False when ingest should hold back: the disk refuses, is full, or is slower than what comes in. */
  get writable(): boolean {
    return this.#writer.writable;
  }

  /**
   * Takes what ingest accepted and returns the message offset of its (first) record. `apply` is called at once, with each new
   * record as a later load would show it, an announcement before its amount. Never throws for the disk's sake. When
   * the bounds of a degraded store are reached it takes nothing, calls nothing and returns NOT_STORED; `writable` says so
   * long before.
   */
  append(accepted: Accepted, apply: (record: StoreRecord) => void): StoreOffset {
    return this.#writer.append(accepted, apply);
  }

  /** Publishes everything that is pending, if the disk takes it. Happens by itself at the end of the turn. */
  flush(): void {
    this.#writer.flush();
  }

  /**
   * Publishes and makes durable. Resolves also when the disk refuses: durableBytes and state tell what was achieved.
   */
  async sync(): Promise<void> {
    this.#writer.flush();
    await this.#writer.drain();
  }

  /** Writes the file anew without its deleted records, in the background; upkeep does so by itself when it is worth it. */
  compact(): void {
    this.#upkeep.compact();
  }

  /** @param from where to start: a StoreOffset is a record's message offset, or the position of an earlier cursor */
  cursor(from: StoreOffset | 'start' | 'end' = 'start'): StoreCursor {
    if (from === 'start') return openCursor(this.#source, FIRST_RECORD_POSITION);
    if (from === 'end') return openCursor(this.#source, this.publishedBytes);
    return openCursor(this.#source, from - RECORD_HEADER_BYTES);
  }

  /** A fresh copy of the live message at `offset`, published or not; undefined if it is deleted, damaged or not there. */
  readMessage(offset: StoreOffset): Uint8Array | undefined {
    const writer = this.#writer;
    if (!writer.isOpen || (writer.pendingFlags(offset) & FLAG_DELETED) !== 0) return undefined;
    const batch = writer.pending.holding(offset);
    if (batch !== undefined) {
      const at = offset - batch.start;
      const header = at - RECORD_HEADER_BYTES;
      if ((headerFlags(batch.bytes, header) & FLAG_DELETED) !== 0) return undefined;
      return batch.bytes.slice(at, at + headerLength(batch.bytes, header));
    }
    const isInside = offset >= FIRST_RECORD_POSITION + RECORD_HEADER_BYTES && offset < writer.publishedBytes;
    if (!isInside) return undefined;
    try {
      const message = readMessageAt(writer.file, offset, writer.format.hasCompleted);
      if (message !== 'bad_checksum') return message;
      this.#onBadRecord(offset, message);
    } catch (error) {
      this.#onBadRecord(offset, error instanceof OperationalError ? error.code : 'bug');
    }
    return undefined;
  }

  /** Publishes, syncs, sets the remaining flags and gives the lock back. What the disk refuses is reported and lost. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#upkeep.stop();
    await this.#writer.close();
    this.#lock?.release();
  }

  #reportLoad(): void {
    const {
      records,
      deleted,
      bytes,
      milliseconds,
      dropped,
      gapCount,
      gapBytes,
      restored,
      rewritten,
      version,
    } = this.loadReport;
    if (this.loadReport.fromSnapshot) {
      this.#log.info('store opened as the last stop left it; it is verified in the background', {
        bytes,
        milliseconds: Math.round(milliseconds),
      });
      return;
    }
    this.#log.info('store loaded', { records, deleted, bytes, milliseconds: Math.round(milliseconds) });
    if (gapCount > 0 || restored > 0) {
      const places = gapCount + restored;
      this.#log.unusual(
        `the store was damaged in ${places} place${places === 1 ? '' : 's'}: ${records} records are sound, ${gapBytes} bytes were set ` +
          'aside. No funds are in this file; what is missing is fetched again from peers',
        { restored, quarantine: this.#quarantined },
      );
    } else if (rewritten === 'first_byte') {
      this.#log.unusual(
        `the first byte of the store, its version, was damaged: the records show version ${version}, all ${records} were kept, ` +
          'and the store is written anew. No funds are in this file',
      );
    } else if (rewritten !== undefined) {
      this.#log.info('the store was written anew', { because: rewritten, from_version: version });
    }
    for (const [reason, count] of Object.entries(dropped)) {
      this.#meter.count('gossipd_store_dropped_records_total', reason, count);
      this.#log.info('records of the store were flagged deleted', { reason, count });
    }
  }

  #onSwitch(successor: Successor): readonly StoreOffset[] {
    const { map, gaps, quarantined } = successor;
    this.#generation++;
    if (quarantined !== undefined) this.#quarantined = quarantined;
    for (const place of this.#cursors) place.move((position) => map.translatePosition(position));
    this.#upkeep.onSwitch();
    this.#indexer.onSwitch();
    this.#meter.count('gossipd_store_rewrites_total');
    if (gaps.length > 0) this.#meter.count('gossipd_store_damaged_ranges_total', undefined, gaps.length);
    return this.#options.onRelocate?.((offset) => map.translate(offset)) ?? [];
  }

  #onBadRecord(offset: StoreOffset, reason: string): void {
    this.#meter.count('gossipd_store_bad_records_total', reason);
    this.#upkeep.damaged(offset - RECORD_HEADER_BYTES);
    if (this.#badRecords++ >= BAD_RECORDS_LOGGED) return;
    this.#log.unusual('a record of the store cannot be read any more: the disk may be failing', {
      offset,
      reason,
    });
  }

  #cursorSource(): CursorSource {
    const writer = this.#writer;
    return {
      get file() {
        return writer.file;
      },
      get format() {
        return writer.format;
      },
      get publishedBytes() {
        return writer.publishedBytes;
      },
      get epoch() {
        return writer.epoch;
      },
      get isOpen() {
        return writer.isOpen;
      },
      pendingFlags: (offset) => writer.pendingFlags(offset),
      takeBuffer: () => this.#spareBuffers.pop() ?? new Uint8Array(CURSOR_BUFFER_BYTES),
      giveBuffer: (buffer) => {
        if (this.#spareBuffers.length < SPARE_CURSOR_BUFFERS) this.#spareBuffers.push(buffer);
      },
      onBadRecord: (offset, reason) => this.#onBadRecord(offset, reason),
      opened: (place) => this.#cursors.add(place),
      closed: (place) => this.#cursors.delete(place),
    };
  }
}
