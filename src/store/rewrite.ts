/**
 * Rewrite: copies what is live of a store file into NAME.tmp, piece by piece, and then puts that under NAME.
 *
 * The store starts one to compact, to leave damage behind, or to change the version; it calls step() turn after turn while
 * records are appended to the old file, then sync(), then commit() in one turn, then what commit() hands back.
 * Reading goes by SalvageReader, so damage costs only the records it hit. Left out: what is DELETED or dead, malformed
 * records, uuids, end markers, old tombstones, and any half of a pair of announcement and amount.
 * Invariants: the old file is not written to before its successor is durable under the name, and then only by one end marker;
 * when anything fails, or after abort(), NAME is what it was and NAME.tmp is gone. Memory: two buffers of 1 MiB and the map.
 */
import { assert, OperationalError } from '../base/errors.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import {
  GOSSIP_STORE_CHANNEL_AMOUNT,
  GOSSIP_STORE_DELETE_CHAN,
  GOSSIP_STORE_ENDED,
  GOSSIP_STORE_UUID,
  type StoreOffset,
  type StoreRecord,
} from '../wire/store_record.ts';
import { isCompleted, type OldFile, tellReaders } from './end_marker.ts';
import { OffsetMap } from './offset_map.ts';
import { RecordOutput } from './record_output.ts';
import { type Gap, SalvageReader } from './salvage_reader.ts';
import type { StoreFile, StoreFolder } from './store_file.ts';
import { upgradeRecord } from './upgrade_record.ts';
import type { StoreFormat, WritableVersion } from './versions.ts';

/** Each is some 100 bytes; a file with more damaged places than this is better looked at with the tools. */
export const MAX_GAPS = 1024;
const BUFFER_BYTES = 1024 * 1024;
/** From this version on messages are the same, and headers but for their flags. */
const OLDEST_SAME_VERSION = 14;
/** delete_chan of version 3. */
const WRAPPED_DELETE_CHAN = 4099;

export interface RewriteSource {
  readonly file: StoreFile;
  readonly format: StoreFormat;
  /** Header position of the first record, after any uuid. */
  readonly start: number;
  /** Dead although the file does not say so yet; asked once for each record, when its turn comes. */
  readonly isDead: (offset: StoreOffset) => boolean;
  /** Tombstones from this header position on are kept, because some reader has not seen them; those before are dropped. */
  readonly keepTombstonesFrom: number;
}

export interface RewriteTarget {
  readonly version: WritableVersion;
  /** 32 fresh bytes; unused below version 16. */
  readonly uuid: Uint8Array;
}

/** The new file has the name. */
export interface Committed {
  readonly file: StoreFile;
  readonly size: number;
  /**
   * Makes the name durable, tells readers of the old file (only from version 16 to 16: older readers would go on with
   * stale offsets), and closes the old file. Throws OperationalError, and may then be called again.
   */
  readonly finish: () => Promise<void>;
}

export class Rewrite {
  /** Complete up to `readTo`; owned by whoever takes it after commit(). */
  readonly map: OffsetMap;

  readonly #folder: StoreFolder;
  readonly #name: string;
  readonly #source: RewriteSource;
  readonly #target: RewriteTarget;
  readonly #file: StoreFile;
  readonly #output: RecordOutput;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #reader: SalvageReader | undefined;
  #readTo: number;
  #readerLimit = 0;
  /** An announcement that is written, and stays if its amount comes next. */
  #held: { readonly position: number; readonly bytes: number; readonly written: number } | undefined;
  /** First place in the source at which readers stop for good. */
  #stop: { readonly position: number; readonly bytes: number } | undefined;
  readonly #gaps: Gap[] = [];
  #gapCount = 0;
  #gapBytes = 0;
  #kept = 0;
  #dropped = 0;
  #durable = -1;
  #syncs = 0;
  #isCommitted = false;
  /** Why nothing more can be done. */
  #failure: unknown;

  private constructor(
    folder: StoreFolder,
    name: string,
    source: RewriteSource,
    target: RewriteTarget,
    file: StoreFile,
  ) {
    this.#folder = folder;
    this.#name = name;
    this.#source = source;
    this.#target = target;
    this.#file = file;
    this.#output = new RecordOutput(file, target.version, target.uuid);
    this.#readTo = source.start;
    this.map = new OffsetMap(source.format.headerBytes);
    this.map.setTail(source.start, this.#output.size);
  }

  /** Creates NAME.tmp; one that an interrupted rewrite left is removed. Throws what the disk throws. */
  static begin(folder: StoreFolder, name: string, source: RewriteSource, target: RewriteTarget): Rewrite {
    const tmp = tmpName(name);
    if (folder.exists(tmp)) folder.remove(tmp);
    return new Rewrite(folder, name, source, target, folder.open(tmp, 'create'));
  }

  /** Position that is reached in the source: everything in front of it is copied or left out. */
  get readTo(): number {
    return this.#readTo;
  }

  /** Bytes of the new file, also those that are not written yet. */
  get size(): number {
    return this.#output.size;
  }

  /** Damaged ranges of the source, the first MAX_GAPS of them. */
  get gaps(): readonly Gap[] {
    return this.#gaps;
  }

  get gapCount(): number {
    return this.#gapCount;
  }

  /** Of all damaged ranges. */
  get gapBytes(): number {
    return this.#gapBytes;
  }

  /** Records of the source that are in the new file. */
  get kept(): number {
    return this.#kept;
  }

  /** Records of the source that were left out, DELETED ones included, uuids not. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * Works through some `maxBytes` of the source, up to `limit`, the end of a batch or of the file; true when it is reached.
   * The limit may grow from call to call. Throws what the disk throws; the rewrite is then over, with nothing left of it.
   */
  step(limit: number, maxBytes: number): boolean {
    return this.#attempt(() => {
      const enough = this.#readTo + maxBytes;
      // An announcement waits for what comes behind it, so that no pair is parted.
      while (this.#readTo < limit && (this.#readTo < enough || this.#held !== undefined)) this.#next(limit);
      this.#dropHeld();
      this.map.setTail(this.#readTo, this.#output.size);
      return this.#readTo >= limit;
    });
  }

  /**
   * The new file, as far as it is, is durable once this resolves; more may be copied meanwhile or afterwards, and then
   * wants another one. Rejects with what the disk throws; the rewrite is then over.
   */
  async sync(): Promise<void> {
    const size = this.#attempt(() => {
      this.#output.flush();
      return this.#output.size;
    });
    this.#syncs++;
    try {
      await this.#file.dataSync();
    } catch (error) {
      this.#fail(error);
      throw error;
    } finally {
      this.#syncs--;
      // abort() leaves a file open that is being synced: its number must not come to mean another file meanwhile.
      if (this.#syncs === 0 && this.#failure !== undefined) closeQuietly(this.#file);
    }
    if (this.#failure !== undefined) throw this.#failure;
    this.#durable = Math.max(this.#durable, size);
  }

  /** Changes records of the new file, which nobody reads yet; wants a sync() afterwards. Throws as step() does. */
  amend(change: (file: StoreFile) => void): void {
    this.#attempt(() => {
      this.#output.flush();
      this.#durable = -1;
      change(this.#file);
    });
  }

  /**
   * Puts the new file under the name. Everything must be durable by sync(). Throws what the rename throws; the old file
   * then still has the name, and the rewrite is over.
   */
  commit(): Committed {
    this.#attempt(() => {
      assert(this.#durable === this.#output.size, 'a rewrite is committed that is not durable');
      this.#folder.rename(tmpName(this.#name), this.#name);
    });
    this.#isCommitted = true;
    const size = this.#output.size;
    const old: OldFile = {
      file: this.#source.file,
      end: this.#readTo,
      stop: this.#stop,
      sizeAtCommit: sizeQuietly(this.#source.file),
    };
    const isTold = this.#source.format.version === 16 && this.#target.version === 16;
    const tell = isTold ? tellReaders(old, size, this.#target.uuid) : () => {};
    let isOldOpen = true;
    const finish = async (): Promise<void> => {
      await this.#folder.sync();
      if (!isOldOpen) return;
      tell();
      isOldOpen = false;
      closeQuietly(old.file);
    };
    return { file: this.#file, size, finish };
  }

  /** Removes what was begun; nothing after commit(). May be called at any time and more than once; never throws. */
  abort(): void {
    if (this.#isCommitted || this.#failure !== undefined) return;
    this.#fail(
      new OperationalError(
        'rewrite_aborted',
        'retry',
        `the rewrite of ${this.#folder.path}/${this.#name} was given up`,
        'Nothing needs to be done: the store goes on with the file it has.',
      ),
    );
  }

  #fail(error: unknown): void {
    if (this.#isCommitted || this.#failure !== undefined) return;
    this.#failure = error;
    this.#reader = undefined;
    if (this.#syncs === 0) closeQuietly(this.#file);
    try {
      this.#folder.remove(tmpName(this.#name));
    } catch {
      // The next rewrite or start removes it; `error` is what counts.
    }
  }

  /** Ends the rewrite when `act` throws. A call after the end throws the reason of the end again. */
  #attempt<T>(act: () => T): T {
    assert(!this.#isCommitted, 'a rewrite is over once it is committed');
    if (this.#failure !== undefined) throw this.#failure;
    try {
      return act();
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  /** A reader reads up to the limit it was given, so that it does not forget half-way that it is inside damage. */
  #readerUpTo(limit: number): SalvageReader {
    if (this.#reader !== undefined && this.#readTo < this.#readerLimit) return this.#reader;
    const { file, format } = this.#source;
    this.#readerLimit = limit;
    this.#reader = new SalvageReader(file, { format, from: this.#readTo, limit, buffer: this.#buffer });
    return this.#reader;
  }

  /** Deals with the next thing in the source. */
  #next(limit: number): void {
    const reader = this.#readerUpTo(limit);
    const step = reader.next();
    if (step === 'gap') this.#noteStop(reader, reader.gap.kind === 'torn_tail');
    else if (reader.restored !== undefined) this.#noteStop(reader, false);
    switch (step) {
      case 'live':
        this.#live(reader);
        break;
      case 'gap':
        this.#dropHeld();
        this.#gap(reader.gap);
        break;
      case 'deleted':
      case 'malformed':
        this.#dropHeld();
        this.#dropped++;
        break;
      case 'end':
        break;
    }
    this.#readTo = step === 'end' ? this.#readerLimit : reader.end;
  }

  #gap(gap: Gap): void {
    this.#gapCount++;
    this.#gapBytes += gap.length;
    if (this.#gaps.length < MAX_GAPS) this.#gaps.push({ ...gap });
  }

  /** Readers get past a wrong checksum sooner or later, but never past a record that is not COMPLETED or ends behind the file. */
  #noteStop({ position, end }: SalvageReader, isTorn: boolean): void {
    if (this.#stop !== undefined) return;
    if (isTorn || !isCompleted(this.#source.file, position)) this.#stop = { position, bytes: end - position };
  }

  #live(reader: SalvageReader): void {
    const { record, position } = reader;
    const bytes = reader.end - position;
    if (record.type === GOSSIP_STORE_CHANNEL_AMOUNT) {
      this.#amount(reader, bytes);
      return;
    }
    this.#dropHeld();
    if (record.type === GOSSIP_STORE_UUID) return;
    if (!this.#isWanted(record, position)) {
      this.#dropped++;
      return;
    }
    this.#output.makeRoom();
    const written = this.#output.size;
    if (!this.#write(reader)) this.#dropped++;
    else if (record.type === MESSAGE_TYPE.channel_announcement) this.#held = { position, bytes, written };
    else this.#keep(position, written, bytes);
  }

  #amount(reader: SalvageReader, bytes: number): void {
    const held = this.#held;
    const written = this.#output.size;
    if (held === undefined || this.#source.isDead(reader.record.offset) || !this.#write(reader)) {
      this.#dropHeld();
      this.#dropped++;
      return;
    }
    this.#held = undefined;
    this.#keep(held.position, held.written, held.bytes);
    this.#keep(reader.position, written, bytes);
  }

  #keep(position: number, written: number, bytes: number): void {
    this.map.keep(position, written, bytes);
    this.#kept++;
  }

  /** The announcement before this has no amount: it is taken back. */
  #dropHeld(): void {
    if (this.#held === undefined) return;
    this.#output.takeBack(this.#held.written);
    this.#held = undefined;
    this.#dropped++;
  }

  #isWanted(record: StoreRecord, position: number): boolean {
    const { format, keepTombstonesFrom, isDead } = this.#source;
    if (record.type === GOSSIP_STORE_ENDED) return false;
    const isTombstone =
      record.type === GOSSIP_STORE_DELETE_CHAN ||
      (format.wrapsMessages && record.type === WRAPPED_DELETE_CHAN);
    if (isTombstone && position < keepTombstonesFrom) return false;
    return !isDead(record.offset);
  }

  /** False if the target's version has no place for the record. */
  #write({ record, restored }: SalvageReader): boolean {
    const { format } = this.#source;
    if (format.version >= OLDEST_SAME_VERSION) {
      this.#output.copy(record, restored === undefined);
      return true;
    }
    const fate = upgradeRecord(record, format, this.#target.version, (message, timestamp, flags) =>
      this.#output.write(message, timestamp, flags),
    );
    return fate === 'kept';
  }
}

const tmpName = (name: string): string => `${name}.tmp`;

/** Closing says nothing that a sync has not said before. */
const closeQuietly = (file: StoreFile): void => {
  try {
    file.close();
  } catch {
    // The number is given back all the same.
  }
};

const sizeQuietly = (file: StoreFile): number | undefined => {
  try {
    return file.size();
  } catch (error) {
    if (error instanceof OperationalError) return undefined;
    throw error;
  }
};
