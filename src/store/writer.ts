/**
 * StoreWriter: everything that stands between what was appended and the disk, in order.
 *
 * gossip_store hands in what ingest/ accepted. Each record gets its offset at once, waits in memory until the end of the turn
 * (or 1 MiB), and is then published: written with its batch and made visible by a single byte. fdatasync follows within
 * syncIntervalMs, for all batches since the last one together; flags of replaced records are set after that sync.
 * One `drain` at a time does it all: replace a file that nobody can go on from, publish, make the name durable, sync, set
 * flags. What fails is kept and tried again by DiskHealth; nothing here throws at who appends. A Succession copies beside the
 * drains, and its last stretch is part of one: `#held` keeps publishing back meanwhile.
 */
import { assert, type OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { Rng } from '../base/rng.ts';
import type { Clock } from '../base/time.ts';
import { FLAG_DELETED, type StoreOffset, type StoreRecord, storeOffset } from '../wire/store_record.ts';
import type { Accepted } from './accepted.ts';
import { DeferredMarks, MAX_MARKS, type MarkListener } from './deferred_marks.ts';
import { DiskHealth } from './disk_health.ts';
import { enqueue } from './enqueue.ts';
import { FIRST_RECORD_POSITION, UUID_BYTES } from './format.ts';
import type { OpenedStore } from './opening.ts';
import { patientFile } from './patient_file.ts';
import {
  BATCH_BYTES,
  HOLD_BACK_PENDING_BYTES,
  MAX_APPEND_BYTES,
  MAX_PENDING_BYTES,
  PendingBatches,
} from './pending_batches.ts';
import { deadBytesIn, publishBatch, recommitRange } from './publish.ts';
import type { StoreFile, StoreFolder } from './store_file.ts';
import { Succession, type Successor } from './succession.ts';
import type { StoreFormat, WritableVersion } from './versions.ts';

/** What append returns when it took nothing: no message lies at offset 0. */
export const NOT_STORED: StoreOffset = storeOffset(0);

/** Marks applied in one turn: some 15 ms. */
const MARKS_PER_TURN = 8192;
/** A sync is started early when so many marks wait for it. */
const SYNC_AT_MARKS = 16_384;

export interface WriterPorts {
  readonly folder: StoreFolder;
  readonly name: string;
  readonly version: WritableVersion;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly meter: Meter;
  readonly syncIntervalMs: number;
  /** The file has a successor, in whose terms everything is from now on. Returns records to be flagged DELETED. */
  readonly onSwitch: (successor: Successor) => readonly StoreOffset[];
  /** Hears of every flag and timestamp that was written to a record of the file. */
  readonly marked: MarkListener;
  /** At a clean stop, between the last sync and closing the file. */
  readonly beforeClose: () => Promise<void>;
  /** Lowest header position that a cursor has yet to read; Infinity without cursors. */
  readonly oldestCursor: () => number;
}

export class StoreWriter {
  readonly pending: PendingBatches;
  readonly #ports: WriterPorts;
  readonly #health: DiskHealth;
  #marks: DeferredMarks;
  #file: StoreFile;
  #format: StoreFormat;
  #uuid: Uint8Array;
  #publishedBytes: number;
  #durableBytes = 0;
  #deadBytes: number;
  #epoch = 0;
  #isOpen = true;
  /** Writing batches failed: the end of a turn does not try again, the retry timer does. */
  #writeFails = false;
  /** A sync failed: the system may have thrown away what it could not write, and claims nothing about it. */
  #syncFailed = false;
  /** Nothing can be published behind what the file ends in, or in its version: it is replaced first. */
  #mustReplace: boolean;
  /** Publishing waits: a succession is in its last stretch. */
  #held = false;
  /** Why nothing is written although the disk would take it. */
  #hold: OperationalError | undefined;
  /** What is wrong with the file; ends with its replacement. */
  #fault: OperationalError | undefined;
  #succession: Succession | undefined;
  /** Everything but the last stretch is copied. */
  #copied = false;
  /** What remains to make the file's name durable. */
  #unfinished: (() => Promise<void>) | undefined;
  /** How far any write went, successful or not. */
  #writtenTo: number;
  #cancelFlush: (() => void) | undefined;
  #cancelSync: (() => void) | undefined;
  #cancelCopy: (() => void) | undefined;
  #draining: Promise<void> | undefined;
  #drainNext: Promise<void> | undefined;

  constructor(ports: WriterPorts, opened: OpenedStore) {
    this.#ports = ports;
    this.#file = patientFile(opened.file);
    this.#format = opened.format;
    this.#uuid = opened.uuid;
    this.#publishedBytes = opened.end;
    this.#deadBytes = opened.deletedBytes;
    this.#writtenTo = Math.max(opened.end, opened.file.size());
    this.pending = new PendingBatches(opened.end, ports.version >= 15);
    this.#marks = new DeferredMarks(opened.format.hasCompleted, ports.marked);
    this.#mustReplace = opened.report.rewritten !== undefined;
    // A process before us may have been killed between renaming the file and making that durable.
    this.#unfinished = () => ports.folder.sync();
    if (opened.report.fromSnapshot) {
      // A clean stop made file and name durable, and nothing was written since.
      this.#durableBytes = opened.end;
      this.#unfinished = undefined;
    }
    this.#health = new DiskHealth(ports.clock, ports.log, ports.meter, () => void this.drain());
    for (const mark of opened.marks) {
      // What justifies a mark of the load is somewhere in the file: all of it must be durable first.
      if (mark.flags === 0) this.#marks.addTimestamp(mark.offset, mark.timestamp, opened.end, true);
      else this.#marks.addFlags(mark.offset, mark.flags, opened.end);
    }
  }

  get file(): StoreFile {
    return this.#file;
  }
  get format(): StoreFormat {
    return this.#format;
  }
  get uuid(): Uint8Array {
    return this.#uuid;
  }
  get publishedBytes(): number {
    return this.#publishedBytes;
  }
  get durableBytes(): number {
    return this.#durableBytes;
  }
  /** Of the published bytes, those of deleted records. */
  get deadBytes(): number {
    return this.#deadBytes + this.#marks.deletedBytes;
  }
  /** Changes whenever records that were published before may look different: flags, or another file. */
  get epoch(): number {
    return this.#epoch;
  }
  get isOpen(): boolean {
    return this.#isOpen;
  }
  /** How far the file may reach by our own writes. */
  get writtenTo(): number {
    return this.#writtenTo;
  }
  /** Copying to a successor is under way. */
  get isReplacing(): boolean {
    return this.#succession !== undefined;
  }
  /** Why the store is degraded; undefined while it is not. */
  get trouble(): string | undefined {
    return this.#health.reason ?? this.#fault?.message ?? this.#hold?.message;
  }
  get fault(): OperationalError | undefined {
    return this.#fault;
  }
  get writable(): boolean {
    return this.#isOpen && this.pending.bytes < HOLD_BACK_PENDING_BYTES && this.#marks.size < MAX_MARKS / 2;
  }

  /** Flags that the record at `offset` is about to get. */
  pendingFlags(offset: StoreOffset): number {
    return this.#marks.flagsOf(offset);
  }

  append(accepted: Accepted, apply: (record: StoreRecord) => void): StoreOffset {
    assert(this.#isOpen, 'append to a closed store');
    if (this.pending.bytes > MAX_PENDING_BYTES - MAX_APPEND_BYTES || this.#marks.size >= MAX_MARKS) {
      this.#ports.meter.count('gossipd_store_refused_total', accepted.kind);
      return NOT_STORED;
    }
    const offset = enqueue(this.pending, this.#marks, accepted, apply);
    if (this.pending.bytes >= BATCH_BYTES) this.#flushUnlessFailing();
    else this.#flushAtEndOfTurn();
    if (this.#marks.size >= SYNC_AT_MARKS && !this.#syncFailed && !this.isReplacing) this.#syncSoon(0);
    return offset;
  }

  flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    if (this.#isOpen) this.#publishAll();
  }

  /** While there is a reason nothing is written: what comes waits in memory. Undefined lets go. */
  hold(reason: OperationalError | undefined): void {
    if (reason === undefined && this.#hold !== undefined) {
      this.#hold = undefined;
      this.#ports.log.unusual('the disk has room again: the store goes on writing; nothing was lost');
      void this.drain();
    } else if (reason !== undefined && this.#hold === undefined) {
      this.#ports.log.unusual(reason.message, { hint: reason.hint });
      this.#hold = reason;
    }
    this.#gauges();
  }

  /** Something is wrong with the file that only its replacement ends; true if that was not known. */
  declareFault(fault: OperationalError): boolean {
    if (this.#fault?.code === fault.code) return false;
    this.#fault = fault;
    this.#ports.log.unusual(`${fault.message}. The map goes on from memory; no funds are in this file`, {
      hint: fault.hint,
    });
    this.#ports.meter.count('gossipd_store_failures_total', fault.code);
    this.#gauges();
    return true;
  }

  /** Copies the store to a new file while it goes on. Throws what the disk throws at the start; later failures go to `failed`. */
  replace(failed: (error: unknown) => void): void {
    if (this.#succession !== undefined || !this.#isOpen || this.#mustReplace) return;
    const succession = this.#newSuccession();
    this.#succession = succession;
    this.#copied = false;
    const fail = (error: unknown): void => {
      if (this.#succession === succession) this.#abandon();
      failed(error);
    };
    const copy = (): void => {
      this.#cancelCopy = undefined;
      if (this.#succession !== succession || !this.#isOpen) return;
      try {
        if (!succession.step()) {
          this.#cancelCopy = this.#ports.clock.after(0, copy);
          return;
        }
      } catch (error) {
        fail(error);
        return;
      }
      succession.syncAhead().then(
        () => {
          this.#copied = true;
          void this.drain().then(() => {
            if (this.#succession === succession && this.#isOpen) fail(this.#lastFailure);
          });
        },
        (error: unknown) => fail(error),
      );
    };
    copy();
  }

  #lastFailure: unknown;

  #abandon(): void {
    this.#cancelCopy?.();
    this.#cancelCopy = undefined;
    const succession = this.#succession;
    this.#succession = undefined;
    this.#copied = false;
    try {
      succession?.abort();
    } catch {
      // NAME.tmp stays and is removed at the next start; what led here is told already.
    }
  }

  /** Publishes, syncs, sets the remaining flags, closes the file. What the disk refuses is reported and lost. */
  async close(): Promise<void> {
    this.flush();
    await this.drain();
    if (this.#succession !== undefined) this.#abandon();
    while (this.trouble === undefined && this.#hasUnwritten()) await this.drain();
    this.#isOpen = false;
    this.#cancelFlush?.();
    this.#cancelSync?.();
    this.#health.stop();
    if (this.trouble === undefined) {
      // Flags alone: nothing depends on them, but a clean stop leaves a clean file.
      await this.#file.dataSync().catch((error: unknown) => {
        this.#ports.log.unusual('the last sync of the store failed', { reason: String(error) });
      });
      await this.#ports.beforeClose();
    } else {
      this.#ports.log.unusual('closing while the disk refuses: what is lost is fetched again from peers', {
        bytes_lost: this.pending.bytes,
        reason: this.trouble,
      });
    }
    this.#file.close();
  }

  #hasUnwritten(): boolean {
    return this.pending.bytes > 0 || this.#marks.size > 0 || this.#publishedBytes > this.#durableBytes;
  }

  #gauges(): void {
    const { meter } = this.#ports;
    meter.gauge('gossipd_store_published_bytes', this.#publishedBytes);
    meter.gauge('gossipd_store_durable_bytes', this.#durableBytes);
    meter.gauge('gossipd_store_pending_bytes', this.pending.bytes);
    meter.gauge('gossipd_store_dead_bytes', this.deadBytes);
    meter.gauge('gossipd_store_degraded', this.trouble === undefined ? 0 : 1);
  }

  #flushAtEndOfTurn(): void {
    this.#cancelFlush ??= this.#ports.clock.after(0, () => {
      this.#cancelFlush = undefined;
      this.#flushUnlessFailing();
    });
  }

  #flushUnlessFailing(): void {
    if (this.#isOpen && !this.#writeFails) this.#publishAll();
  }

  #syncSoon(delayMs: number): void {
    if (this.#cancelSync !== undefined && delayMs > 0) return;
    this.#cancelSync?.();
    this.#cancelSync = this.#ports.clock.after(delayMs, () => {
      this.#cancelSync = undefined;
      void this.drain();
    });
  }

  /** True if nothing is pending any more. */
  #publishAll(): boolean {
    if (this.#mustReplace || this.#held || this.#hold !== undefined) return false;
    for (let batch = this.pending.first; batch !== undefined; batch = this.pending.first) {
      try {
        this.#writtenTo = Math.max(this.#writtenTo, batch.start + batch.length);
        publishBatch(this.#file, batch, this.#format.hasCompleted);
      } catch (error) {
        this.#writeFails = true;
        this.#health.failed(error);
        return false;
      }
      this.#publishedBytes = batch.start + batch.length;
      this.#deadBytes += deadBytesIn(batch);
      this.pending.shift();
      this.#ports.meter.count('gossipd_store_batches_total');
    }
    this.#writeFails = false;
    if (this.#publishedBytes > this.#durableBytes && !this.#syncFailed)
      this.#syncSoon(this.#ports.syncIntervalMs);
    return true;
  }

  /** One drain at a time; a call during one waits for it and then gets one of its own, shared with other such calls. */
  drain(): Promise<void> {
    if (this.#draining === undefined) {
      this.#draining = this.#drainOnce().finally(() => {
        this.#draining = undefined;
      });
      return this.#draining;
    }
    this.#drainNext ??= this.#draining.then(() => {
      this.#drainNext = undefined;
      return this.drain();
    });
    return this.#drainNext;
  }

  /** Everything that stands between memory and the disk, in order. Never rejects: what fails is tried again later. */
  async #drainOnce(): Promise<void> {
    if (!this.#isOpen) return;
    try {
      if (this.#mustReplace) await this.#replaceNow();
      else if (this.#copied) await this.#completeSuccession();
      if (!this.#publishAll()) return;
      if (this.#unfinished !== undefined) {
        await this.#unfinished();
        this.#unfinished = undefined;
      }
      await this.#syncPublished();
      this.#applyMarks();
      // A batch may have failed while the sync was under way.
      if (!this.#writeFails) this.#health.recovered();
    } catch (error) {
      this.#lastFailure = error;
      // Of an attempt to replace the file its starter hears, and tries again at its own pace.
      if (this.#succession === undefined) this.#health.failed(error);
    } finally {
      this.#gauges();
    }
  }

  #applyMarks(): void {
    const marks = this.#marks;
    // A succession copies the flags as they are; those that come now are moved with the marks.
    if (this.isReplacing) return;
    if (marks.apply(this.#file, this.#durableBytes, MARKS_PER_TURN)) this.#epoch++;
    if (marks.misplaced > 0) {
      // Somebody may have cut the file short a moment ago; otherwise our own offsets are wrong.
      const isCut = this.#file.size() < this.#publishedBytes;
      this.#ports.log[isCut ? 'unusual' : 'broken']('flags were to be set where no record is', {
        count: marks.misplaced,
      });
      marks.misplaced = 0;
    }
    // Those that wait for a sync go with the next one; the others are only too many for one turn.
    if (marks.size > 0)
      this.#syncSoon(this.#publishedBytes > this.#durableBytes ? this.#ports.syncIntervalMs : 0);
  }

  async #syncPublished(): Promise<void> {
    const target = this.#publishedBytes;
    // What is synced in a file that the name does not lead to any more survives nothing.
    if (target === this.#durableBytes || this.#fault !== undefined) return;
    if (this.#syncFailed) recommitRange(this.#file, this.#durableBytes, target, this.#format.hasCompleted);
    try {
      await this.#file.dataSync();
    } catch (error) {
      this.#syncFailed = true;
      this.#ports.meter.count('gossipd_store_sync_failures_total');
      throw error;
    }
    this.#syncFailed = false;
    this.#durableBytes = target;
    this.#ports.meter.count('gossipd_store_syncs_total');
    this.#cancelSync?.();
    this.#cancelSync = undefined;
    if (this.#publishedBytes > target) this.#syncSoon(this.#ports.syncIntervalMs);
  }

  #newSuccession(): Succession {
    const { folder, name, clock, log, rng, version } = this.#ports;
    return new Succession(
      {
        ...{ folder, name, clock, log },
        file: this.#file,
        format: this.#format,
        start: FIRST_RECORD_POSITION,
        publishedBytes: () => this.#publishedBytes,
        writtenTo: () => this.#writtenTo,
        copyTo: () => (this.#mustReplace ? this.#file.size() : this.#publishedBytes),
        isDead: (offset) => this.#marks.isDead(offset, this.#publishedBytes),
        amend: (file, translate) => this.#marks.presetTimestamps(file, translate, this.#publishedBytes),
        keepTombstonesFrom: Math.min(this.#publishedBytes, this.#ports.oldestCursor()),
      },
      { version, uuid: rng.bytes(UUID_BYTES) },
    );
  }

  /** At the start, and again as long as the disk refuses: in one go, because nothing can be published before. */
  async #replaceNow(): Promise<void> {
    const succession = this.#newSuccession();
    try {
      while (!succession.step());
      await succession.complete((successor) => this.#switchTo(successor));
      this.#mustReplace = false;
    } catch (error) {
      succession.abort();
      throw error;
    }
  }

  async #completeSuccession(): Promise<void> {
    const succession = this.#succession;
    if (succession === undefined) return;
    // What is pending goes to the old file first, so that it is part of the copy.
    this.#publishAll();
    this.#held = true;
    try {
      await succession.complete((successor) => this.#switchTo(successor));
      this.#succession = undefined;
      this.#copied = false;
    } finally {
      this.#held = false;
    }
  }

  /** In one turn: from here on everything is in terms of the new file. */
  #switchTo(successor: Successor): void {
    const { file, size, map, format, uuid, finish } = successor;
    const oldEnd = this.#publishedBytes;
    this.#file = patientFile(file);
    this.#format = format;
    this.#uuid = uuid;
    this.pending.move(size - oldEnd);
    const marks = new DeferredMarks(format.hasCompleted, this.#ports.marked);
    marks.takeOver(this.#marks, (offset) => map.translate(offset), oldEnd, size);
    this.#marks = marks;
    this.#publishedBytes = size;
    this.#writtenTo = size;
    // All of it is durable once the name is; what was so before is so in one of the two files.
    this.#durableBytes = Math.min(size, map.translatePosition(this.#durableBytes));
    this.#deadBytes = 0;
    this.#epoch++;
    this.#syncFailed = false;
    this.#writeFails = false;
    this.#unfinished = finish;
    for (const orphan of this.#ports.onSwitch(successor)) this.#marks.addFlags(orphan, FLAG_DELETED, size);
    if (this.#fault !== undefined) {
      this.#ports.log.unusual('the store has a sound file again', { was: this.#fault.message });
      this.#fault = undefined;
    }
  }
}
