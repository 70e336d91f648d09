/**
 * patientFile: a store on a disk with bad sectors, read as far as it goes.
 *
 * The daemon's store reads its file through it, and repair its source and a backup. Where a read fails, it is repeated in blocks, and a block that cannot be
 * read comes back as zeros, which the salvage reader steps over like any hole: the records around it are saved. What was
 * unreadable is counted. A disk that can read almost nothing is given up on, because each failing block can take seconds.
 */
import { OperationalError } from '../base/errors.ts';
import type { StoreFile } from './store_file.ts';

const BLOCK_BYTES = 4096;
/** 4 MiB. */
const MAX_BAD_BLOCKS = 1024;

export interface PatientFile extends StoreFile {
  /** Bytes that the disk could not read. */
  readonly unreadableBytes: () => number;
}

const givenUp = (cause: OperationalError): OperationalError =>
  new OperationalError(
    'disk_error',
    'stop',
    `the disk cannot read more than ${MAX_BAD_BLOCKS} blocks of this file`,
    'Copy what can be read to another disk first, with ddrescue for example, and repair the copy.',
    cause,
  );

/** Everything but reading is the file's own. */
export const patientFile = (file: StoreFile): PatientFile => {
  /** Position of each bad block -> bytes of it that are in the file. */
  const bad = new Map<number, number>();
  const readBlock = (buffer: Uint8Array, start: number, length: number, position: number): number => {
    try {
      return file.read(buffer, start, length, position);
    } catch (error) {
      if (!(error instanceof OperationalError) || error.code !== 'disk_error') throw error;
      if (bad.size >= MAX_BAD_BLOCKS) throw givenUp(error);
      const there = Math.max(0, Math.min(length, file.size() - position));
      buffer.fill(0, start, start + there);
      const block = position - (position % BLOCK_BYTES);
      bad.set(block, Math.max(bad.get(block) ?? 0, Math.min(BLOCK_BYTES, file.size() - block)));
      return there;
    }
  };
  const read = (buffer: Uint8Array, start: number, length: number, position: number): number => {
    try {
      return file.read(buffer, start, length, position);
    } catch (error) {
      if (!(error instanceof OperationalError) || error.code !== 'disk_error') throw error;
    }
    let done = 0;
    while (done < length) {
      const at = position + done;
      const wanted = Math.min(length - done, BLOCK_BYTES - (at % BLOCK_BYTES));
      const got = readBlock(buffer, start + done, wanted, at);
      done += got;
      if (got < wanted) break;
    }
    return done;
  };
  return {
    ...file,
    read,
    unreadableBytes: () => [...bad.values()].reduce((sum, bytes) => sum + bytes, 0),
  };
};
