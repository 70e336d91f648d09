/**
 * Writing a store anew: a fresh one, or the good part of a damaged one under the same name.
 *
 * opening.ts decides that and what is good; a store that could not be rebuilt for want of space tries again from its retry
 * timer. The order is what keeps every reader alive at every instant: the new file is built under a temporary name and made
 * durable, then renamed, then the directory is made durable, and only then is the old file, which no name leads to any more,
 * marked ENDED for those who still read it. A file is never cut short, and never empty under its name.
 * The new file gets a fresh uuid, so that readers can tell it from the old one.
 */
import type { Clock } from '../base/time.ts';
import { encodeEnded } from '../wire/gossip_store_messages.ts';
import { encodeEmptyStore, encodeRecord, flagByte } from './format.ts';
import type { StoreFile, StoreFolder } from './store_file.ts';

const COPY_BYTES = 1024 * 1024;
/** 64 MiB of a damaged tail are kept for a look at them; whole mainnet maps are smaller. */
export const MAX_TAIL_BYTES = 64 * 1024 * 1024;
export const MAX_TAIL_FILES = 4;

const tmpName = (name: string): string => `${name}.tmp`;
const tailPrefix = (name: string): string => `${name}.tail-`;

/** What a rebuild that crashed left behind; nobody reads it. */
export const removeLeftovers = (folder: StoreFolder, name: string): void => {
  if (folder.exists(tmpName(name))) folder.remove(tmpName(name));
};

const copyRange = (from: StoreFile, start: number, end: number, to: StoreFile, at: number): void => {
  const buffer = new Uint8Array(Math.min(COPY_BYTES, Math.max(0, end - start)));
  for (let done = 0; done < end - start; ) {
    const got = from.read(buffer, 0, Math.min(buffer.length, end - start - done), start + done);
    if (got === 0) break;
    to.write(buffer.subarray(0, got), at + done);
    done += got;
  }
};

/** A rebuild whose new file has the name; `finish` is what remains. */
export interface Rebuilt {
  readonly file: StoreFile;
  /** Makes the rename durable, then tells readers of the old file. May be called again after it threw. */
  readonly finish: () => Promise<void>;
}

/** Appends ENDED at `position`, where readers of the superseded file wait, by the same two steps as any record. */
const writeEnded = (old: StoreFile, position: number, equivalentOffset: number, uuid: Uint8Array): void => {
  const record = encodeRecord(0, encodeEnded(BigInt(equivalentOffset), uuid));
  const completed = record.slice(0, 1);
  record[0] = 0;
  old.write(record, position);
  old.write(completed, position);
};

/**
 * Builds `name` from a version byte, a fresh uuid record and `old`'s bytes [start, end). Throws what the disk throws, with
 * nothing changed under the name.
 *
 * @param old undefined for a fresh store; closed by finish()
 * @param uuid 32 bytes
 */
export const rebuildStore = async (
  folder: StoreFolder,
  name: string,
  old: { readonly file: StoreFile; readonly start: number; readonly end: number } | undefined,
  uuid: Uint8Array,
): Promise<Rebuilt> => {
  const file = folder.open(tmpName(name), 'create');
  try {
    const head = encodeEmptyStore(uuid);
    file.write(head, 0);
    if (old !== undefined) copyRange(old.file, old.start, old.end, file, head.length);
    await file.dataSync();
    folder.rename(tmpName(name), name);
  } catch (error) {
    file.close();
    throw error;
  }
  const size = file.size();
  return {
    file,
    finish: async () => {
      await folder.sync();
      if (old === undefined) return;
      // An old file without a single byte has no readers that could go on.
      if (old.file.size() > 0) writeEnded(old.file, old.end, size, uuid);
      old.file.close();
    },
  };
};

/** Number of a tail file's age: its name starts with the time. */
const pruneTails = (folder: StoreFolder, name: string): void => {
  const tails = folder
    .list()
    .filter((entry) => entry.startsWith(tailPrefix(name)))
    .sort();
  for (const entry of tails.slice(0, Math.max(0, tails.length - MAX_TAIL_FILES))) folder.remove(entry);
};

/** `20260203T101500Z`: sorts by time and is a legal file name everywhere. */
const timeInName = (clock: Clock): string => new Date(clock.nowMs()).toISOString().replace(/[-:]|\.\d+/g, '');

/**
 * Keeps the bytes [start, end) of a damaged file in a file of their own; returns its name. Throws what the disk throws,
 * and then leaves nothing behind.
 */
export const saveTail = async (
  folder: StoreFolder,
  name: string,
  damaged: StoreFile,
  start: number,
  end: number,
  clock: Clock,
): Promise<string> => {
  const tail = `${tailPrefix(name)}${timeInName(clock)}-${start}`;
  const file = folder.open(tail, 'create');
  try {
    copyRange(damaged, start, Math.min(end, start + MAX_TAIL_BYTES), file, 0);
    await file.dataSync();
  } catch (error) {
    folder.remove(tail);
    throw error;
  } finally {
    file.close();
  }
  pruneTails(folder, name);
  return tail;
};

/** Completes the record whose header is at `position` by writing its first byte. */
export const completeRecord = (file: StoreFile, position: number, flags: number): void =>
  file.write(Uint8Array.of(flagByte(flags)), position);
