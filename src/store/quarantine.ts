/**
 * quarantine: keeps a copy of what could not be read of a damaged store, before the file is replaced by its good part.
 *
 * The store and repair/ hand in the file and the ranges. Each incident is a pair beside the store, NAME.quarantine-TIME.bin with
 * the bytes one range after the other, and .json with what they are; the time is in UTC and sorts. Nothing reads them
 * but people, and they may be deleted at any time. Bounds: 64 MiB an incident, of which small ranges get theirs first, so
 * that one huge hole does not crowd out the rest; the newest four incidents stay. Other files are never touched.
 */
import { OperationalError } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import type { StoreFile, StoreFolder } from './store_file.ts';

export interface QuarantineRange {
  /** Position of the first byte in the store. */
  readonly offset: number;
  readonly length: number;
  /** Id of the finding. */
  readonly finding: string;
  readonly reason: string;
}

/** Whole mainnet maps are smaller. */
export const MAX_QUARANTINE_BYTES = 64 * 1024 * 1024;
export const MAX_QUARANTINES = 4;
const COPY_BYTES = 1024 * 1024;

/** A range in the index, as JSON. */
interface Entry {
  readonly offset: number;
  readonly length: number;
  /** Where the copy starts in the .bin; null when there is none. */
  readonly position: number | null;
  /** Bytes of it that were copied, from its start. */
  readonly kept: number;
  /** Why that is not all of them. */
  readonly missing: 'too_large' | 'unreadable' | null;
  readonly finding: string;
  readonly reason: string;
}

/**
 * Copies the ranges to NAME.quarantine-<utc>.bin, with an index of the same name in .json, whose name it returns. Durable when
 * it resolves. What the disk cannot read of the damaged file is noted as `unreadable`. Throws what writing throws, and then
 * leaves nothing.
 */
export const quarantine = async (
  folder: StoreFolder,
  name: string,
  file: StoreFile,
  ranges: readonly QuarantineRange[],
  clock: Clock,
): Promise<string> => {
  const now = new Date(clock.nowMs());
  const stem = freeStem(folder, name, now);
  const bin = `${stem}.bin`;
  const json = `${stem}.json`;
  try {
    const entries = await writeFileOf(folder, bin, (to) => copyRanges(file, ranges, to));
    const index = { store: name, time: now.toISOString(), copy: bin, ranges: entries };
    const text = new TextEncoder().encode(`${JSON.stringify(index, null, 2)}\n`);
    await writeFileOf(folder, json, (to) => to.write(text, 0));
    await folder.sync();
  } catch (error) {
    removeQuietly(folder, bin);
    removeQuietly(folder, json);
    throw error;
  }
  prune(folder, name, json);
  return json;
};

/** `20260203T101500Z`: sorts by time and is a legal file name everywhere. */
export const timeInName = (time: Date): string => time.toISOString().replace(/[-:]|\.\d+/g, '');

/** An incident in the folder, with those of its files that are there. */
interface Incident {
  readonly time: string;
  /** 0 for the first one of a second. */
  readonly number: number;
  readonly files: string[];
}

const INCIDENT = /^\.quarantine-(\d{8}T\d{6}Z)(?:-(\d{1,9}))?\.(?:bin|json)$/;

/** Oldest first. */
const incidentsOf = (folder: StoreFolder, name: string): Incident[] => {
  const incidents = new Map<string, Incident>();
  for (const file of folder.list()) {
    const match = file.startsWith(name) ? INCIDENT.exec(file.slice(name.length)) : null;
    if (match === null) continue;
    const [, time = '', text = '0'] = match;
    const number = Number(text);
    const key = `${time}-${number}`;
    const incident = incidents.get(key);
    if (incident === undefined) incidents.set(key, { time, number, files: [file] });
    else incident.files.push(file);
  }
  return [...incidents.values()].sort((one, other) =>
    one.time === other.time ? one.number - other.number : one.time < other.time ? -1 : 1,
  );
};

/** Name of both files without their endings; the second incident of a second gets `-1`, the third `-2`. */
const freeStem = (folder: StoreFolder, name: string, now: Date): string => {
  const time = timeInName(now);
  const last = incidentsOf(folder, name).findLast((incident) => incident.time === time);
  return `${name}.quarantine-${time}${last === undefined ? '' : `-${last.number + 1}`}`;
};

/** Creates a file, has it filled, and makes its content durable. */
const writeFileOf = async <T>(folder: StoreFolder, name: string, fill: (to: StoreFile) => T): Promise<T> => {
  const to = folder.open(name, 'create');
  try {
    const filled = fill(to);
    await to.dataSync();
    return filled;
  } finally {
    to.close();
  }
};

/** How many bytes of each range are copied: small ranges first. */
const shares = (ranges: readonly QuarantineRange[]): Map<QuarantineRange, number> => {
  let left = MAX_QUARANTINE_BYTES;
  const granted = new Map<QuarantineRange, number>();
  for (const range of [...ranges].sort((one, other) => one.length - other.length)) {
    const share = Math.min(range.length, left);
    granted.set(range, share);
    left -= share;
  }
  return granted;
};

const copyRanges = (file: StoreFile, ranges: readonly QuarantineRange[], to: StoreFile): Entry[] => {
  const buffer = new Uint8Array(COPY_BYTES);
  const granted = shares(ranges);
  let position = 0;
  return ranges.map((range): Entry => {
    const { offset, length, finding, reason } = range;
    const share = granted.get(range) ?? 0;
    const kept = copyRange(file, offset, share, to, position, buffer);
    const start = position;
    position += kept;
    const missing = kept < share ? 'unreadable' : share < length ? 'too_large' : null;
    return { offset, length, position: kept === 0 ? null : start, kept, missing, finding, reason };
  });
};

/** Returns how many bytes it copied: fewer where the disk cannot read any further, or the file ends. */
const copyRange = (
  from: StoreFile,
  offset: number,
  length: number,
  to: StoreFile,
  at: number,
  buffer: Uint8Array,
): number => {
  let done = 0;
  while (done < length) {
    const got = readQuietly(from, buffer, Math.min(buffer.length, length - done), offset + done);
    if (got === 0) break;
    to.write(buffer.subarray(0, got), at + done);
    done += got;
  }
  return done;
};

const readQuietly = (from: StoreFile, buffer: Uint8Array, length: number, position: number): number => {
  try {
    return from.read(buffer, 0, length, position);
  } catch (error) {
    if (error instanceof OperationalError) return 0;
    throw error;
  }
};

const removeQuietly = (folder: StoreFolder, name: string): void => {
  try {
    folder.remove(name);
  } catch (error) {
    // The next incident prunes it; what failed before is what the caller must hear.
    if (!(error instanceof OperationalError)) throw error;
  }
};

/** Removes all but the newest incidents; the one just made stays also where the clock has gone back. */
const prune = (folder: StoreFolder, name: string, made: string): void => {
  const others = incidentsOf(folder, name).filter(({ files }) => !files.includes(made));
  for (const { files } of others.slice(0, Math.max(0, others.length - (MAX_QUARANTINES - 1)))) {
    for (const file of files) removeQuietly(folder, file);
  }
};
