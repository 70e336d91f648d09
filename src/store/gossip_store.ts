/**
 * GossipStore: the one writer of a gossip_store file, and the place where its readers get their cursors.
 *
 * ingest/ hands in what it accepted; each record gets its offset at once, waits in memory until the end of the turn (or
 * 1 MiB), and is then published: written with its batch and made visible by a single byte. fdatasync follows within
 * syncIntervalMs, for all batches since the last one together. Flags of replaced records are set after that sync, so that
 * no crash can take both the old and the new one (docs/crash_safety.md tells the rest).
 * Invariants: the file is readable by CLN at every instant; publishedBytes and durableBytes only grow; nothing durable is
 * ever lost. A disk that refuses makes the store `degraded`: memory goes on within MAX_PENDING_BYTES and MAX_MARKS, writing
 * is tried again from 1 s up to every 60 s, and nothing here throws or ends the process.
 */
import { assert, OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { Rng } from '../base/rng.ts';
import type { Clock } from '../base/time.ts';
import {
  FLAG_DELETED,
  RECORD_HEADER_BYTES,
  type StoreOffset,
  type StoreRecord,
  storeOffset,
} from '../wire/store_record.ts';
import type { Accepted } from './accepted.ts';
import { CURSOR_BUFFER_BYTES, type CursorSource, openCursor, type StoreCursor } from './cursor.ts';
import { DeferredMarks, MAX_MARKS } from './deferred_marks.ts';
import { DiskHealth } from './disk_health.ts';
import { enqueue } from './enqueue.ts';
import {
  EMPTY_STORE_BYTES,
  FIRST_RECORD_POSITION,
  headerFlags,
  headerLength,
  STORE_NAME,
  UUID_BYTES,
} from './format.ts';
import { type LoadReport, type OpenedStore, openStoreFile } from './opening.ts';
import {
  BATCH_BYTES,
  HOLD_BACK_PENDING_BYTES,
  MAX_APPEND_BYTES,
  MAX_PENDING_BYTES,
  PendingBatches,
} from './pending_batches.ts';
import { publishBatch, recommitRange } from './publish.ts';
import { readMessageAt } from './read_message.ts';
import { type Rebuilt, rebuildStore } from './rebuild.ts';
import type { StoreFile, StoreFolder, StoreLock } from './store_file.ts';

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
}

/** What append returns when it took nothing: no message lies at offset 0. */
export const NOT_STORED: StoreOffset = storeOffset(0);

const SYNC_INTERVAL_MS = 1000;
/** Marks applied in one turn: some 15 ms. */
const MARKS_PER_TURN = 8192;
/** A sync is started early when so many marks wait for it. */
const SYNC_AT_MARKS = 16_384;
const SPARE_CURSOR_BUFFERS = 8;
/** Every cursor meets the same bad record: the meter counts all, the log names some. */
const BAD_RECORDS_LOGGED = 16;

export class GossipStore {
  readonly name: string;
  /** For messages to people: folder and name. */
  readonly path: string;
  readonly loadReport: LoadReport;

  readonly #folder: StoreFolder;
  readonly #clock: Clock;
  readonly #rng: Rng;
  readonly #log: Log;
  readonly #meter: Meter;
  readonly #syncIntervalMs: number;
  readonly #lock: StoreLock | undefined;
  readonly #pending: PendingBatches;
  readonly #marks = new DeferredMarks();
  readonly #source: CursorSource;
  readonly #spareBuffers: Uint8Array[] = [];
  readonly #health: DiskHealth;

  #file: StoreFile;
  #uuid: Uint8Array;
  #publishedBytes: number;
  #durableBytes = 0;
  #epoch = 0;
  #isOpen = true;
  /** Writing batches failed: the end of a turn does not try again, the retry timer does. */
  #writeFails = false;
  /** A sync failed: the system may have thrown away what it could not write, and claims nothing about it. */
  #syncFailed = false;
  /** The file ends in something that no reader gets past: it is replaced before anything is published. */
  #mustRebuild: boolean;
  /** What remains to make the file's name durable. */
  #unfinished: Pick<Rebuilt, 'finish'> | undefined;
  #cancelFlush: (() => void) | undefined;
  #cancelSync: (() => void) | undefined;
  #draining: Promise<void> | undefined;
  #drainNext: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #badRecords = 0;

  private constructor(options: GossipStoreOptions, opened: OpenedStore, lock: StoreLock | undefined) {
    this.name = options.name ?? STORE_NAME;
    this.#folder = options.folder;
    this.path = `${options.folder.path}/${this.name}`;
    this.#clock = options.clock;
    this.#rng = options.rng;
    this.#log = options.log;
    this.#meter = options.meter;
    this.#syncIntervalMs = options.syncIntervalMs ?? SYNC_INTERVAL_MS;
    this.#lock = lock;
    this.loadReport = opened.report;
    this.#file = opened.file;
    this.#uuid = opened.uuid;
    this.#publishedBytes = opened.end;
    this.#pending = new PendingBatches(opened.end);
    this.#mustRebuild = opened.mustRebuild;
    // A process before us may have been killed between renaming the file and making that durable.
    this.#unfinished = { finish: () => options.folder.sync() };
    this.#health = new DiskHealth(options.clock, options.log, options.meter, () => void this.#drain());
    this.#source = this.#cursorSource();
    for (const mark of opened.marks) {
      // What justifies a mark of the load is somewhere in the file: all of it must be durable first.
      if (mark.flags === 0) this.#marks.addTimestamp(mark.offset, mark.timestamp, opened.end, true);
      else this.#marks.addFlags(mark.offset, mark.flags, opened.end);
    }
  }

  /**
   * Takes the lock, creates or loads the file, hands every live record to `visit` in file order, and repairs what a crash left.
   * Resolves once what was loaded is durable, or the store is degraded.
   *
   * Throws OperationalError: `store_locked`; `store_version_unsupported` for any version but 16, with nothing touched; or a
   * disk that refuses to be read, or refuses the first 47 bytes of a new store.
   */
  static async open(options: GossipStoreOptions, visit: (record: StoreRecord) => void): Promise<GossipStore> {
    const name = options.name ?? STORE_NAME;
    const log = options.log.part('store');
    const lock = options.lock === false ? undefined : options.folder.lock(`${name}.lock`, log);
    try {
      const { folder, clock, rng } = options;
      const opened = await openStoreFile({ folder, name, clock, rng, log }, visit);
      const store = new GossipStore({ ...options, log }, opened, lock);
      await store.#drain();
      store.#reportLoad();
      return store;
    } catch (error) {
      lock?.release();
      throw error;
    }
  }

  /** 32 bytes that name this file, not to be written to; a rebuild gives new ones. */
  get uuid(): Uint8Array {
    return this.#uuid;
  }

  /** File length that readers may see. */
  get publishedBytes(): number {
    return this.#publishedBytes;
  }

  /** File length that survives a power cut. */
  get durableBytes(): number {
    return this.#durableBytes;
  }

  /** Bytes that are in memory only. */
  get pendingBytes(): number {
    return this.#pending.bytes;
  }

  get state(): 'ok' | 'degraded' {
    return this.#health.reason === undefined ? 'ok' : 'degraded';
  }

  /** Why the store is degraded, for people. */
  get stateReason(): string | undefined {
    return this.#health.reason;
  }

  /** False when ingest should hold back: the disk refuses, or is slower than what comes in. */
  get writable(): boolean {
    return this.#isOpen && this.#pending.bytes < HOLD_BACK_PENDING_BYTES && this.#marks.size < MAX_MARKS / 2;
  }

  /**
   * Takes what ingest accepted and returns the message offset of its (first) record. `apply` is called at once, with each new
   * record as a later load would show it, an announcement before its amount. Never throws for the disk's sake. When
   * the bounds of a degraded store are reached it takes nothing, calls nothing and returns NOT_STORED; `writable` says so
   * long before.
   */
  append(accepted: Accepted, apply: (record: StoreRecord) => void): StoreOffset {
    assert(this.#isOpen, 'append to a closed store');
    if (this.#pending.bytes > MAX_PENDING_BYTES - MAX_APPEND_BYTES || this.#marks.size >= MAX_MARKS) {
      this.#meter.count('gossipd_store_refused_total', accepted.kind);
      return NOT_STORED;
    }
    const offset = enqueue(this.#pending, this.#marks, accepted, apply);
    if (this.#pending.bytes >= BATCH_BYTES) this.#flushUnlessFailing();
    else this.#flushAtEndOfTurn();
    if (this.#marks.size >= SYNC_AT_MARKS && !this.#syncFailed) this.#syncSoon(0);
    return offset;
  }

  /** Publishes everything that is pending, if the disk takes it. Happens by itself at the end of the turn. */
  flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    if (this.#isOpen) this.#publishAll();
  }

  /**
   * Publishes and makes durable. Resolves also when the disk refuses: durableBytes and state tell what was achieved.
   */
  async sync(): Promise<void> {
    this.flush();
    await this.#drain();
  }

  /** @param from where to start: a StoreOffset is a record's message offset, or the position of an earlier cursor */
  cursor(from: StoreOffset | 'start' | 'end' = 'start'): StoreCursor {
    if (from === 'start') return openCursor(this.#source, FIRST_RECORD_POSITION);
    if (from === 'end') return openCursor(this.#source, this.#publishedBytes);
    return openCursor(this.#source, from - RECORD_HEADER_BYTES);
  }

  /** A fresh copy of the live message at `offset`, published or not; undefined if it is deleted, damaged or not there. */
  readMessage(offset: StoreOffset): Uint8Array | undefined {
    if (!this.#isOpen || (this.#marks.flagsOf(offset) & FLAG_DELETED) !== 0) return undefined;
    const batch = this.#pending.holding(offset);
    if (batch !== undefined) {
      const at = offset - batch.start;
      const header = at - RECORD_HEADER_BYTES;
      if ((headerFlags(batch.bytes, header) & FLAG_DELETED) !== 0) return undefined;
      return batch.bytes.slice(at, at + headerLength(batch.bytes, header));
    }
    const isInside = offset >= FIRST_RECORD_POSITION + RECORD_HEADER_BYTES && offset < this.#publishedBytes;
    if (!isInside) return undefined;
    try {
      const message = readMessageAt(this.#file, offset);
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
    this.flush();
    await this.#drain();
    while (this.#health.reason === undefined && this.#hasUnwritten()) await this.#drain();
    this.#isOpen = false;
    this.#cancelFlush?.();
    this.#cancelSync?.();
    this.#health.stop();
    if (this.#health.reason === undefined) {
      // Flags alone: nothing depends on them, but a clean stop leaves a clean file.
      await this.#file.dataSync().catch((error: unknown) => {
        this.#log.unusual('the last sync of the store failed', { reason: String(error) });
      });
    } else {
      this.#log.unusual('closing while the disk refuses: what is lost is fetched again from peers', {
        bytes_lost: this.#pending.bytes,
        reason: this.#health.reason,
      });
    }
    this.#file.close();
    this.#lock?.release();
  }

  #hasUnwritten(): boolean {
    return this.#pending.bytes > 0 || this.#marks.size > 0 || this.#publishedBytes > this.#durableBytes;
  }

  #reportLoad(): void {
    const { records, deleted, bytes, milliseconds, dropped } = this.loadReport;
    this.#log.info('store loaded', { records, deleted, bytes, milliseconds: Math.round(milliseconds) });
    for (const [reason, count] of Object.entries(dropped)) {
      this.#meter.count('gossipd_store_dropped_records_total', reason, count);
      this.#log.info('records of the store were flagged deleted', { reason, count });
    }
    this.#gauges();
  }

  #gauges(): void {
    this.#meter.gauge('gossipd_store_published_bytes', this.#publishedBytes);
    this.#meter.gauge('gossipd_store_durable_bytes', this.#durableBytes);
    this.#meter.gauge('gossipd_store_pending_bytes', this.#pending.bytes);
  }

  #flushAtEndOfTurn(): void {
    this.#cancelFlush ??= this.#clock.after(0, () => {
      this.#cancelFlush = undefined;
      this.#flushUnlessFailing();
    });
  }

  #flushUnlessFailing(): void {
    if (this.#isOpen && !this.#writeFails && !this.#mustRebuild) this.#publishAll();
  }

  #syncSoon(delayMs: number): void {
    if (this.#cancelSync !== undefined && delayMs > 0) return;
    this.#cancelSync?.();
    this.#cancelSync = this.#clock.after(delayMs, () => {
      this.#cancelSync = undefined;
      void this.#drain();
    });
  }

  /** True if nothing is pending any more. */
  #publishAll(): boolean {
    if (this.#mustRebuild) return false;
    for (let batch = this.#pending.first; batch !== undefined; batch = this.#pending.first) {
      try {
        publishBatch(this.#file, batch);
      } catch (error) {
        this.#writeFails = true;
        this.#health.failed(error);
        return false;
      }
      this.#publishedBytes = batch.start + batch.length;
      this.#pending.shift();
      this.#meter.count('gossipd_store_batches_total');
    }
    this.#writeFails = false;
    if (this.#publishedBytes > this.#durableBytes && !this.#syncFailed) this.#syncSoon(this.#syncIntervalMs);
    return true;
  }

  /** One drain at a time; a call during one waits for it and then gets one of its own, shared with other such calls. */
  #drain(): Promise<void> {
    if (this.#draining === undefined) {
      this.#draining = this.#drainOnce().finally(() => {
        this.#draining = undefined;
      });
      return this.#draining;
    }
    this.#drainNext ??= this.#draining.then(() => {
      this.#drainNext = undefined;
      return this.#drain();
    });
    return this.#drainNext;
  }

  /** Everything that stands between memory and the disk, in order. Never rejects: what fails is tried again later. */
  async #drainOnce(): Promise<void> {
    if (!this.#isOpen) return;
    try {
      if (this.#mustRebuild) await this.#rebuild();
      if (!this.#publishAll()) return;
      if (this.#unfinished !== undefined) {
        await this.#unfinished.finish();
        this.#unfinished = undefined;
      }
      await this.#syncPublished();
      this.#applyMarks();
      // A batch may have failed while the sync was under way.
      if (!this.#writeFails) this.#health.recovered();
    } catch (error) {
      this.#health.failed(error);
    }
    this.#gauges();
  }

  #applyMarks(): void {
    const marks = this.#marks;
    if (marks.apply(this.#file, this.#durableBytes, MARKS_PER_TURN)) this.#epoch++;
    if (marks.misplaced > 0) {
      this.#log.broken('flags were to be set where no record is', { count: marks.misplaced });
      marks.misplaced = 0;
    }
    // Those that wait for a sync go with the next one; the others are only too many for one turn.
    if (marks.size > 0) this.#syncSoon(this.#publishedBytes > this.#durableBytes ? this.#syncIntervalMs : 0);
  }

  async #syncPublished(): Promise<void> {
    const target = this.#publishedBytes;
    if (target === this.#durableBytes) return;
    if (this.#syncFailed) recommitRange(this.#file, this.#durableBytes, target);
    try {
      await this.#file.dataSync();
    } catch (error) {
      this.#syncFailed = true;
      this.#meter.count('gossipd_store_sync_failures_total');
      throw error;
    }
    this.#syncFailed = false;
    this.#durableBytes = target;
    this.#meter.count('gossipd_store_syncs_total');
    this.#cancelSync?.();
    this.#cancelSync = undefined;
    if (this.#publishedBytes > target) this.#syncSoon(this.#syncIntervalMs);
  }

  /** Puts the good part of the file into a new one under the same name. Offsets stay: only the uuid's 32 bytes differ. */
  async #rebuild(): Promise<void> {
    const uuid = this.#rng.bytes(UUID_BYTES);
    const old = { file: this.#file, start: EMPTY_STORE_BYTES, end: this.#publishedBytes };
    const rebuilt = await rebuildStore(this.#folder, this.name, old, uuid);
    this.#file = rebuilt.file;
    this.#uuid = uuid;
    this.#epoch++;
    this.#mustRebuild = false;
    this.#unfinished = rebuilt;
  }

  #onBadRecord(offset: StoreOffset, reason: string): void {
    this.#meter.count('gossipd_store_bad_records_total', reason);
    if (this.#badRecords++ >= BAD_RECORDS_LOGGED) return;
    this.#log.unusual('a record of the store cannot be read any more: the disk may be failing', {
      offset,
      reason,
    });
  }

  #cursorSource(): CursorSource {
    const store = this;
    return {
      get file() {
        return store.#file;
      },
      get publishedBytes() {
        return store.#publishedBytes;
      },
      get epoch() {
        return store.#epoch;
      },
      get isOpen() {
        return store.#isOpen;
      },
      pendingFlags: (offset) => store.#marks.flagsOf(offset),
      takeBuffer: () => store.#spareBuffers.pop() ?? new Uint8Array(CURSOR_BUFFER_BYTES),
      giveBuffer: (buffer) => {
        if (store.#spareBuffers.length < SPARE_CURSOR_BUFFERS) store.#spareBuffers.push(buffer);
      },
      onBadRecord: (offset, reason) => store.#onBadRecord(offset, reason),
    };
  }
}
