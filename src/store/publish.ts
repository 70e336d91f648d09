/**
 * publish: how a batch of records gets into the file so that readers see all of it or nothing.
 *
 * gossip_store hands in the batch. One write puts it behind the published end with COMPLETED already set in every record
 * but the first; a second write, of one byte, completes the first. Readers stop at the first record without the flag, so
 * the batch appears at that instant, an announcement together with its amount. A write that fails leaves bytes that no
 * reader passes, and the next attempt overwrites them with the same records.
 */
import { OperationalError } from '../base/errors.ts';
import { FLAG_COMPLETED, FLAG_DELETED, RECORD_HEADER_BYTES } from '../wire/store_record.ts';
import { FIRST_RECORD_POSITION, flagByte, headerFlags, headerLength } from './format.ts';
import type { Batch } from './pending_batches.ts';
import type { StoreFile } from './store_file.ts';
import { RecordWalker } from './walker.ts';

/**
 * Throws what writing throws; the batch is then as it was and may be published again.
 *
 * @param hasCompleted false for version 14: its readers stop only at the end of the file, so one write has to do
 */
export const publishBatch = (file: StoreFile, batch: Batch, hasCompleted = true): void => {
  const { bytes, start, length } = batch;
  if (!hasCompleted) {
    file.write(bytes.subarray(0, length), start);
    return;
  }
  const completed = bytes[0] as number;
  bytes[0] = completed & ~flagByte(FLAG_COMPLETED);
  try {
    file.write(bytes.subarray(0, length), start);
  } finally {
    bytes[0] = completed;
  }
  file.write(bytes.subarray(0, 1), start);
};

/** Records that were replaced while they waited in the batch, headers included. */
export const deadBytesIn = ({ bytes, length }: Batch): number => {
  let dead = 0;
  for (let at = 0; at < length; ) {
    const size = RECORD_HEADER_BYTES + headerLength(bytes, at);
    if ((headerFlags(bytes, at) & FLAG_DELETED) !== 0) dead += size;
    at += size;
  }
  return dead;
};

const COPY_BYTES = 1024 * 1024;

/**
 * Writes the bytes [start, end) of the file over themselves, so that the next sync covers them. After a failed fsync Linux
 * counts pages as clean that never reached the disk, and a later fsync that succeeds says nothing about them.
 * Throws OperationalError `disk_error` if what the system still holds of them is not sound any more.
 */
export const recommitRange = (file: StoreFile, start: number, end: number, hasCompleted = true): void => {
  const from = Math.max(start, FIRST_RECORD_POSITION);
  const walker = new RecordWalker(file, from, new Uint8Array(COPY_BYTES), false, hasCompleted);
  for (let step = walker.step(end); step === 'live' || step === 'deleted' || step === 'malformed'; ) {
    step = walker.step(end);
  }
  if (walker.position !== end) {
    throw new OperationalError(
      'disk_error',
      'degrade',
      `the disk lost records between offsets ${walker.position} and ${end}`,
      'Replace the disk, then start again: what is missing is fetched again from peers.',
    );
  }
  const buffer = new Uint8Array(Math.min(COPY_BYTES, end - start));
  for (let position = start; position < end; ) {
    const got = file.read(buffer, 0, Math.min(buffer.length, end - position), position);
    if (got === 0) break;
    file.write(buffer.subarray(0, got), position);
    position += got;
  }
};
