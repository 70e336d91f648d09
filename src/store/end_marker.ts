/**
 * The end marker: how readers of a superseded file learn that it has a successor.
 *
 * rewrite.ts calls the function it gets from here once no name leads to the old file any more, and that is durable: all of
 * CLN's processes crash on a file with an end marker under its name. The record is written where readers wait, by the two
 * steps of any append. That place is the end of what was read, or something torn or not COMPLETED that no reader gets past. Somebody
 * else may have appended to the old file; then it goes to the end of the records that are there now, or nowhere.
 */
import { OperationalError } from '../base/errors.ts';
import { encodeEnded } from '../wire/gossip_store_messages.ts';
import { FLAG_COMPLETED } from '../wire/store_record.ts';
import { encodeRecord, flagByte } from './format.ts';
import type { StoreFile } from './store_file.ts';
import { RecordWalker } from './walker.ts';

export interface OldFile {
  readonly file: StoreFile;
  /** Header position behind the last record that was read. */
  readonly end: number;
  /** First place in front of the end at which readers stop for good, as long as it is. */
  readonly stop: { readonly position: number; readonly bytes: number } | undefined;
  /** undefined when the disk would not say. */
  readonly sizeAtCommit: number | undefined;
}

/** Attempts on a full disk. Until the last one the old file stays open, and what it takes on the disk is not free. */
const MAX_ATTEMPTS = 5;
const WALK_BUFFER_BYTES = 128 * 1024;

/**
 * Returns the function that writes the marker. It throws OperationalError `disk_full` while it makes sense to call it again;
 * any other failure costs only readers of the old file, who then find the new one at their next start.
 *
 * @param newSize of the successor, where a reader goes on that had read everything
 * @param uuid of the successor
 */
export const tellReaders = (old: OldFile, newSize: number, uuid: Uint8Array): (() => void) => {
  const record = encodeRecord(0, encodeEnded(BigInt(newSize), uuid));
  let attempts = 0;
  let position: number | undefined;
  return () => {
    attempts++;
    try {
      // Kept from attempt to attempt: what an earlier one left behind is no growth.
      position ??= whereReadersWait(old, record.length);
      if (position === undefined) return;
      const completed = record.slice(0, 1);
      const incomplete = record.slice();
      incomplete[0] = 0;
      old.file.write(incomplete, position);
      old.file.write(completed, position);
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      if (error.code === 'disk_full' && attempts < MAX_ATTEMPTS) throw error;
    }
  };
};

/** Whether readers go past the record whose header is at `position`, as far as its flags are concerned. */
export const isCompleted = (file: StoreFile, position: number): boolean => {
  const first = new Uint8Array(1);
  file.read(first, 0, 1, position);
  return ((first[0] as number) & flagByte(FLAG_COMPLETED)) !== 0;
};

/** @param room bytes of the marker */
const whereReadersWait = (old: OldFile, room: number): number | undefined => {
  const { file, end, stop, sizeAtCommit } = old;
  const size = file.size();
  // An old file without a single byte has no readers, and one that was cut short has readers that must not find a hole.
  if (size < end || size === 0) return undefined;
  if (stop !== undefined && size === sizeAtCommit) {
    const reachesEnd = stop.position + stop.bytes >= size;
    if (reachesEnd || stop.bytes >= room) return stop.position;
  }
  if (size === end) return end;
  const walker = new RecordWalker(file, end, new Uint8Array(WALK_BUFFER_BYTES));
  for (;;) {
    const step = walker.step(size);
    if (step === 'live' || step === 'deleted' || step === 'malformed') continue;
    if (step === 'end_of_file') return size;
    // A batch of our own that could not be written whole: readers wait in front of it.
    const isOurs = walker.position === end && size === sizeAtCommit && !isCompleted(file, end);
    return isOurs ? end : undefined;
  }
};
