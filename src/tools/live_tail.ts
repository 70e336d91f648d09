/**
 * Is a store being written at this moment? What is incomplete at its end is then no damage.
 *
 * check asks once, when it has met an incomplete end. The answer is yes when the file has grown since the check began, when
 * its end looks different after WAIT_MS, or when a process has it open for writing (Linux: /proc; elsewhere, and for
 * processes of other users, the first two must do).
 */
import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytesEqual } from '../base/bytes.ts';
import type { StoreFile } from '../store/store_file.ts';

const WAIT_MS = 200;
/** A record is not longer. */
const TAIL_BYTES = 65_536;
/** Of fcntl: O_WRONLY or O_RDWR. */
const WRITING = 3;

const listOf = (path: string): readonly string[] => {
  try {
    return readdirSync(path);
  } catch {
    // The process has ended, or belongs to somebody else.
    return [];
  }
};

const isOpenForWriting = (descriptor: string, process: string): boolean => {
  try {
    const info = readFileSync(join('/proc', process, 'fdinfo', descriptor), 'latin1');
    return (Number.parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? '0', 8) & WRITING) !== 0;
  } catch {
    return false;
  }
};

const leadsTo = (link: string, path: string): boolean => {
  try {
    return readlinkSync(link) === path;
  } catch {
    return false;
  }
};

/** Process ids that have the file open for writing, as far as this user may see. */
export const writersOf = (path: string): number[] => {
  const real = realpathSync(path);
  const writers: number[] = [];
  for (const entry of listOf('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const folder = join('/proc', entry, 'fd');
    const found = listOf(folder).some(
      (descriptor) => leadsTo(join(folder, descriptor), real) && isOpenForWriting(descriptor, entry),
    );
    if (found) writers.push(Number(entry));
  }
  return writers;
};

const tailOf = (file: StoreFile, size: number): Uint8Array => {
  const bytes = new Uint8Array(Math.min(size, TAIL_BYTES));
  return bytes.subarray(0, file.read(bytes, 0, bytes.length, size - bytes.length));
};

/** @param sizeBefore when the check began */
export const isBeingWritten = async (file: StoreFile, path: string, sizeBefore: number): Promise<boolean> => {
  if (file.size() > sizeBefore || writersOf(path).length > 0) return true;
  const before = tailOf(file, sizeBefore);
  await sleep(WAIT_MS);
  return file.size() > sizeBefore || !bytesEqual(before, tailOf(file, sizeBefore));
};
