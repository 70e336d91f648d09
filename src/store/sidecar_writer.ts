/**
 * SidecarWriter: keeps NAME.index beside a gossip_store up to date.
 *
 * The store hands it every record in file order when it publishes, and every flag and timestamp when it writes them; flush(),
 * once per sync of the store, appends what came since as one block. Nothing is synced but at seal(): a sidecar that is lost
 * costs one pass over the store. A full block is appended at once, so that memory stays below 400 KiB however much is added.
 * add and the setters never throw and allocate nothing. When the disk refuses, the next flush throws, once; from then on
 * the writer takes everything and writes nothing, and what is on the disk stays what it was at some earlier flush.
 * A file is never shortened or changed in place: to be made smaller, or to lose a torn end, it is written anew.
 */
import { OperationalError } from '../base/errors.ts';
import { RECORD_HEADER_BYTES, type StoreRecord } from '../wire/store_record.ts';
import { FIRST_RECORD_POSITION } from './format.ts';
import type { Sidecar } from './sidecar.ts';
import { SidecarBlock } from './sidecar_block.ts';
import {
  BLOCK_KIND,
  blockSize,
  ENTRY_BYTES,
  ENTRY_FLAGS,
  encodeSidecarHeader,
  SIDECAR_HEADER_BYTES,
  sidecarDraftName,
  sidecarHeaderCrc,
  sidecarName,
} from './sidecar_format.ts';
import { readSidecar } from './sidecar_reader.ts';
import type { StoreFile, StoreFolder } from './store_file.ts';

/** Below this a rewrite is not worth its two names. */
const SMALL_OVERHEAD_BYTES = 64 * 1024;

const outOfOrder = (name: string, position: number, end: number): OperationalError =>
  new OperationalError(
    'sidecar_out_of_order',
    'degrade',
    `the index ${sidecarName(name)} was handed a record at ${position}, in front of ${end}`,
    'Nothing needs to be done: the index is written anew by the next start.',
  );

export class SidecarWriter {
  readonly #folder: StoreFolder;
  readonly #name: string;
  readonly #uuid: Uint8Array;
  readonly #storeVersion: number;

  #file: StoreFile | undefined;
  #failure: OperationalError | undefined;
  #failureTold = false;
  /** The file has its temporary name still. */
  #isDraft = false;
  /** Where in the sidecar the next block goes. */
  #at = 0;
  #crc = 0;
  #sequence = 0;
  /** Entries in the blocks written so far. */
  #written = 0;

  readonly #block = new SidecarBlock();

  private constructor(folder: StoreFolder, name: string, uuid: Uint8Array, storeVersion: number) {
    this.#folder = folder;
    this.#name = name;
    this.#uuid = uuid.slice();
    this.#storeVersion = storeVersion;
  }

  /**
   * An empty sidecar in place of any that is there. Does not throw: what the disk refuses comes with the first flush.
   *
   * @param uuid 32 bytes that tell this store from others
   */
  static create(folder: StoreFolder, name: string, uuid: Uint8Array, storeVersion: number): SidecarWriter {
    const writer = new SidecarWriter(folder, name, uuid, storeVersion);
    writer.#guarded(() => {
      writer.#beginDraft();
      writer.#publishDraft();
    });
    return writer;
  }

  /**
   * Goes on behind what `sidecar`, just read, covers. Notes at once that it is not sealed any more; writes the file anew if it
   * has a torn end or should be smaller. Does not throw.
   */
  static resume(folder: StoreFolder, name: string, sidecar: Sidecar): SidecarWriter {
    const { uuid, storeVersion, tail } = sidecar.content;
    const writer = new SidecarWriter(folder, name, uuid, storeVersion);
    writer.#at = tail.end;
    writer.#written = sidecar.entries;
    writer.#guarded(() => {
      if (tail.torn > 0 || writer.shouldCompact) {
        writer.#rewrite(sidecar);
        return;
      }
      writer.#file = folder.open(sidecarName(name), 'write');
      writer.#crc = tail.crc;
      writer.#sequence = tail.sequence;
      writer.#block.restart(sidecar.coveredTo);
      if (sidecar.sealed) writer.#append(BLOCK_KIND.opened);
    });
    return writer;
  }

  /** Header position up to which records were added. */
  get coveredTo(): number {
    return this.#block.end;
  }

  /** Of the last block written; chained through all before it. */
  get checksum(): number {
    return this.#crc;
  }

  /** False once the disk has refused: nothing is written any more. */
  get isAlive(): boolean {
    return this.#failure === undefined;
  }

  /** Bytes that the next flush appends. */
  get blockBytes(): number {
    const { entries, changes } = this.#block;
    return entries + changes === 0 ? 0 : blockSize(entries, changes);
  }

  /** Changes and small blocks have come to weigh half as much as the entries themselves. */
  get shouldCompact(): boolean {
    const payload = this.#written * ENTRY_BYTES;
    const overhead = this.#at - SIDECAR_HEADER_BYTES - payload;
    return this.#failure === undefined && overhead > Math.max(SMALL_OVERHEAD_BYTES, payload / 2);
  }

  /**
   * Notes the record that was published behind all those before. A record further on than expected leaves a hole that the
   * index knows as such; one in front ends the writer, as a refused write does.
   *
   * @param record borrowed @param crc of its header
   */
  add(record: StoreRecord, crc: number): void {
    if (this.#failure !== undefined) return;
    const block = this.#block;
    const position = record.offset - RECORD_HEADER_BYTES;
    if (position !== block.end && !this.#skipTo(position)) return;
    if (!block.hasRoom) this.#writePending();
    block.addRecord(record, crc);
  }

  /** Notes flags that were set on the record whose header is at `position`, beside those that it has. */
  setFlags(position: number, flags: number): void {
    const set = flags & ENTRY_FLAGS;
    if (this.#failure !== undefined || set === 0) return;
    if (!this.#block.hasRoomForChange) this.#writePending();
    this.#block.setFlags(position, set);
  }

  /** Notes the checksum and timestamp that the header at `position` has now. */
  setTimestamp(position: number, crc: number, timestamp: number): void {
    if (this.#failure !== undefined) return;
    if (!this.#block.hasRoomForChange) this.#writePending();
    this.#block.setTimestamp(position, crc, timestamp);
  }

  /** Appends what was noted since the last one, as a block. Throws OperationalError, once; the writer is dead from then on. */
  flush(): void {
    if (this.#failure === undefined) this.#writePending();
    this.#tellFailure();
  }

  /**
   * For a clean stop: flushes, marks the file as complete, and makes file and name durable. Rejects with OperationalError as
   * flush throws it. What is added afterwards takes the mark away again.
   *
   * @param deadBytes of deleted records in the store
   */
  async seal(deadBytes = 0): Promise<void> {
    this.flush();
    const file = this.#file;
    if (this.#failure !== undefined || file === undefined) return;
    this.#guarded(() => this.#append(BLOCK_KIND.sealed, Math.min(deadBytes, 0xffffffff)));
    this.#tellFailure();
    try {
      await file.dataSync();
      await this.#folder.sync();
    } catch (error) {
      this.#fail(error);
    }
    this.#tellFailure();
  }

  /** Writes the file anew without what has been overtaken, deleted records in a row as one entry. Does not throw. */
  compact(): void {
    this.#writePending();
    if (this.#failure !== undefined) return;
    this.#guarded(() => {
      const read = readSidecar(this.#folder, this.#name, this.#uuid, this.#storeVersion);
      if ('sidecar' in read) this.#rewrite(read.sidecar);
      else throw this.#lost(read.reason);
    });
  }

  /** Lets go of the file, with nothing written. */
  close(): void {
    this.#file?.close();
    this.#file = undefined;
    this.#failure ??= this.#lost('closed');
    this.#failureTold = true;
  }

  /** Notes that the store has no record from the end to `position`; false if it cannot be so. */
  #skipTo(position: number): boolean {
    const { end } = this.#block;
    if (!(position > end)) {
      this.#fail(outOfOrder(this.#name, position, end));
      return false;
    }
    if (!this.#block.hasRoom) this.#writePending();
    this.#block.addGap(position - end);
    return this.#failure === undefined;
  }

  #writePending(): void {
    if (!this.#block.isEmpty) this.#guarded(() => this.#append(BLOCK_KIND.data));
    // A dead writer forgets as well, so that it never overflows.
    this.#block.clear();
  }

  /** Appends the pending entries and changes, or a mark, as one block. Throws what writing throws. */
  #append(kind: number, note = 0): void {
    const block = this.#block;
    const bytes = block.encode(kind, this.#crc, this.#sequence, note);
    this.#file?.write(bytes, this.#at);
    this.#at += bytes.length;
    this.#crc = block.crc;
    this.#sequence++;
    if (kind === BLOCK_KIND.data) this.#written += block.entries;
  }

  #beginDraft(): void {
    this.#file?.close();
    this.#file = undefined;
    const header = encodeSidecarHeader(this.#uuid, this.#storeVersion);
    this.#isDraft = true;
    this.#file = this.#folder.open(sidecarDraftName(this.#name), 'create');
    this.#file.write(header, 0);
    this.#at = SIDECAR_HEADER_BYTES;
    this.#crc = sidecarHeaderCrc(header);
    this.#sequence = 0;
    this.#written = 0;
    this.#block.restart(FIRST_RECORD_POSITION);
  }

  #publishDraft(): void {
    this.#folder.rename(sidecarDraftName(this.#name), sidecarName(this.#name));
    this.#isDraft = false;
  }

  /** Everything that `sidecar` knows, into a new file under the same name. Throws what the disk throws. */
  #rewrite(sidecar: Sidecar): void {
    const { columns, entries, coveredTo } = sidecar.content;
    this.#beginDraft();
    for (let entry = 0; entry < entries && this.#failure === undefined; entry++) {
      if (!this.#block.hasRoom) this.#writePending();
      this.#block.addEntry(columns, entry);
    }
    this.#writePending();
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#block.end !== coveredTo) throw this.#lost('rewritten wrongly');
    this.#publishDraft();
  }

  #lost(reason: string): OperationalError {
    return new OperationalError(
      'sidecar_lost',
      'degrade',
      `the index ${sidecarName(this.#name)} is gone: ${reason}`,
      'Nothing needs to be done: the index is written anew by the next start.',
    );
  }

  #guarded(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** What is no OperationalError is a bug, and goes on to the caller. */
  #fail(error: unknown): void {
    if (!(error instanceof OperationalError)) throw error;
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#file?.close();
    this.#file = undefined;
    if (this.#isDraft) this.#removeDraft();
  }

  /** Its bytes may be just what the store lacks. */
  #removeDraft(): void {
    try {
      this.#folder.remove(sidecarDraftName(this.#name));
    } catch {
      // The failure that led here is told already, and the next draft empties what is left of this one.
    }
  }

  #tellFailure(): void {
    if (this.#failure === undefined || this.#failureTold) return;
    this.#failureTold = true;
    throw this.#failure;
  }
}
