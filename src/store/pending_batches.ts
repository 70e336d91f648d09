/**
 * PendingBatches: records that have their offset but are not yet in the file, gathered into batches, each written as one.
 *
 * gossip_store reserves room here for each append and publishes batch after batch. A batch closes at BATCH_BYTES, so one
 * write is about 1 MiB whatever has piled up, and an announcement is never parted from its amount, because what one append
 * reserves lies in one batch. Bound: while the disk refuses, appends go on up to MAX_PENDING_BYTES in all and are then
 * refused; the store's `writable` turns false at HOLD_BACK_PENDING_BYTES, which leaves 16 MiB for what is already on its way.
 */
import { FLAG_COMPLETED, type StoreOffset, storeOffset } from '../wire/store_record.ts';
import { AMOUNT_RECORD_BYTES, MAX_RECORD_BYTES } from './format.ts';

/** A batch of this size is published at once instead of at the end of the turn. */
export const BATCH_BYTES = 1024 * 1024;
/** The largest append: an announcement and its amount. */
export const MAX_APPEND_BYTES = MAX_RECORD_BYTES + AMOUNT_RECORD_BYTES;
/** An append joins a batch that is still below BATCH_BYTES. */
export const MAX_BATCH_BYTES = BATCH_BYTES + MAX_APPEND_BYTES;
/** 64 MiB: more than a whole mainnet map, some 60 batches. */
export const MAX_PENDING_BYTES = 64 * 1024 * 1024;
export const HOLD_BACK_PENDING_BYTES = 48 * 1024 * 1024;

export interface Batch {
  /** Only the first `length` bytes count. */
  readonly bytes: Uint8Array;
  /** Header position of the first record in the file. */
  start: number;
  length: number;
}

export class PendingBatches {
  readonly #batches: Batch[] = [];
  /** The last published batch's array, to be used again. */
  #spare: Uint8Array | undefined;
  #bytes = 0;
  #end: number;

  /** Flags of a record that is written whole. */
  readonly recordFlags: number;

  /**
   * @param end header position at which the next record goes
   * @param hasCompleted the version to be written marks records as COMPLETED
   */
  constructor(end: number, hasCompleted = true) {
    this.#end = end;
    this.recordFlags = hasCompleted ? FLAG_COMPLETED : 0;
  }

  /** Header position of the next record: the file's length once all is published. */
  get end(): number {
    return this.#end;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get first(): Batch | undefined {
    return this.#batches[0];
  }

  /** Room for `length` more bytes at the end of a batch; the caller fills them at once. */
  reserve(length: number): { readonly batch: Batch; readonly at: number } {
    let batch = this.#batches.at(-1);
    if (batch === undefined || batch.length >= BATCH_BYTES) {
      batch = { bytes: this.#spare ?? new Uint8Array(MAX_BATCH_BYTES), start: this.#end, length: 0 };
      this.#spare = undefined;
      this.#batches.push(batch);
    }
    const at = batch.length;
    batch.length += length;
    this.#bytes += length;
    this.#end += length;
    return { batch, at };
  }

  /** Drops the first batch, which is in the file now. */
  shift(): void {
    const batch = this.#batches.shift();
    if (batch === undefined) return;
    this.#bytes -= batch.length;
    this.#spare = batch.bytes;
  }

  /** The file has a successor in which everything that comes now lies `bytes` further (or, negative, less far). */
  move(bytes: number): void {
    for (const batch of this.#batches) batch.start += bytes;
    this.#end += bytes;
  }

  /** The batch that holds the message at `offset`; undefined if it is in the file, or nowhere. */
  holding(offset: StoreOffset): Batch | undefined {
    if (this.#batches.length === 0 || offset >= this.#end) return undefined;
    for (const batch of this.#batches) {
      if (offset > batch.start && offset < batch.start + batch.length) return batch;
    }
    return undefined;
  }
}

/** Message offset of the record whose header is at index `at` of the batch. */
export const offsetInBatch = (batch: Batch, message: number): StoreOffset =>
  storeOffset(batch.start + message);
