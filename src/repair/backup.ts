/**
 * backUp: a consistent, verified copy of a store in another folder, taken while a writer may be at work.
 *
 * tools/backup and the guard hand in the folders and the machine's compression. The copy is written under a
 * temporary name, made durable, read back record by record, renamed, and gets its manifest last: what has no manifest does
 * not count as a backup. Then the ring is rotated. A crash at any point leaves the earlier backups as they were, and at
 * most temporary files, which the next backup removes. One backup at a time works in a folder: it holds a lock there.
 * The folder's disk may be the node's own, so a backup that would leave it nearly full is refused before a byte is written.
 */
import { OperationalError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import type { Clock } from '../base/time.ts';
import { type Sha256Stream, sha256Stream } from '../crypto/sha256_stream.ts';
import type { StoreFile, StoreFolder, StoreLock } from '../store/store_file.ts';
import { detectFormat, type StoreFormat } from '../store/versions.ts';
import { type CopySink, copyStore, type StoreCopy } from './backup_copy.ts';
import {
  type BackupManifest,
  freeBackupName,
  isGood,
  parseBackupName,
  readManifest,
  writeManifest,
} from './backup_manifest.ts';
import { newestGood, rotate } from './backup_ring.ts';
import { RecordStream, type StreamFault } from './record_stream.ts';
import type { Task } from './task.ts';
import { removeQuietly } from './temporary_file.ts';

/** Compression, which is the machine's. */
export interface BackupMachine {
  /** One gzip member; several behind each other are one gzip file. */
  readonly gzip: (bytes: Uint8Array) => Promise<Uint8Array>;
  /** Throws OperationalError `backup_damaged` for what is no gzip. */
  readonly gunzip: (pieces: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;
}

export interface BackupJob {
  readonly source: { readonly folder: StoreFolder; readonly name: string; readonly path: string };
  readonly to: StoreFolder;
  /** Good backups that stay. */
  readonly keep: number;
  readonly includePrivate: boolean;
  readonly compress: boolean;
  readonly clock: Clock;
  readonly task: Task;
  readonly machine: BackupMachine;
}

export interface BackupOutcome {
  readonly manifest: BackupManifest;
  /** Older backups that were removed. */
  readonly removed: readonly string[];
}

/** Times that a backup starts over because the store was replaced meanwhile. */
const MAX_STARTS = 5;
/** What a backup leaves free on its disk: a node whose store cannot be written to ends (CLN v25.02 and later). */
const LEAVE_FREE_BYTES = 64 * 1024 * 1024;

const READ_BYTES = 1024 * 1024;
const GZIP_START = Uint8Array.of(0x1f, 0x8b);

const tmpName = (file: string): string => `${file}.tmp`;

const takeLock = (folder: StoreFolder, store: string): StoreLock => {
  try {
    return folder.lock(`.${store}-backup.lock`, silentLog);
  } catch (error) {
    if (!(error instanceof OperationalError) || error.code !== 'store_locked') throw error;
    throw new OperationalError(
      'backup_busy',
      'retry',
      `another backup of ${store} is being written to ${folder.path}`,
      'Wait until it has finished, then run this again.',
      error,
    );
  }
};

/** What a backup that crashed left behind. A data file without manifest stays: it may be somebody's. */
const removeLeftovers = (folder: StoreFolder, store: string): void => {
  for (const entry of folder.list()) {
    const stem = entry.replace(/(?:\.json)?\.tmp$/, '');
    if (stem !== entry && parseBackupName(stem)?.store === store) removeQuietly(folder, entry);
  }
};

const formatOf = (file: StoreFile, path: string): { format: StoreFormat; versionByte: number } => {
  const { format, versionByte } = detectFormat(file);
  if (format !== undefined) return { format, versionByte };
  throw new OperationalError(
    'not_a_store',
    'stop',
    file.size() === 0 ? `${path} is empty` : `${path} holds no record of any known version`,
    `gossipd check ${path}`,
  );
};

const requireSpace = (to: StoreFolder, sourceBytes: number, compress: boolean): void => {
  // Gossip shrinks to about a third, mostly for its repeated keys; half is on the safe side.
  const needed = (compress ? Math.ceil(sourceBytes / 2) : sourceBytes) + LEAVE_FREE_BYTES;
  const free = to.freeBytes();
  if (free >= needed) return;
  throw new OperationalError(
    'disk_full',
    'degrade',
    `a backup needs ${needed} bytes free in ${to.path}, and ${free} are`,
    'Free disk space, or name a folder on another disk with --to.',
  );
};

/** Hands on the bytes of a file, hashed on the way. */
export async function* piecesOf(file: StoreFile, hash: Sha256Stream, task: Task): AsyncGenerator<Uint8Array> {
  const size = file.size();
  for (let position = 0; position < size; ) {
    const buffer = new Uint8Array(Math.min(READ_BYTES, size - position));
    const got = file.read(buffer, 0, buffer.length, position);
    if (got === 0) return;
    position += got;
    const piece = buffer.subarray(0, got);
    hash.update(piece);
    yield piece;
    task.progress('verifying', position, size);
    await task.breathe(got);
  }
}

export interface ReadBack {
  readonly fault: StreamFault | undefined;
  readonly sha256: string;
  /** Of the file as it lies there. */
  readonly bytes: number;
  readonly stream: RecordStream;
}

/**
 * Reads a backup from front to end, decompressed where it starts as gzip does. `after` is awaited between pieces, so that
 * what `visit` gathers can be written. Throws what the disk throws, and `backup_damaged` from the decompression.
 */
export const readBackup = async (
  file: StoreFile,
  machine: BackupMachine,
  task: Task,
  stream: RecordStream,
  after: () => Promise<void> = async () => {},
): Promise<ReadBack | 'cancelled'> => {
  const hash = sha256Stream();
  const start = new Uint8Array(2);
  file.read(start, 0, 2, 0);
  const packed = start[0] === GZIP_START[0] && start[1] === GZIP_START[1];
  const raw = piecesOf(file, hash, task);
  for await (const piece of packed ? machine.gunzip(raw) : raw) {
    stream.feed(piece);
    if (stream.fault !== undefined) break;
    await after();
    if (task.cancelled() !== undefined) return 'cancelled';
  }
  const fault = stream.end();
  return { fault, sha256: hash.hex(), bytes: file.size(), stream };
};

interface Written extends StoreCopy {
  readonly file_bytes: number;
  readonly sha256: string;
  readonly format: StoreFormat;
  readonly version_byte: number;
}

/** Copies into `file` once; the sink's position starts at 0 with each call. */
const writeOnce = async (
  job: BackupJob,
  target: StoreFile,
  followsName: boolean,
): Promise<Written | 'replaced' | 'cancelled'> => {
  const { folder, name, path } = job.source;
  const file = folder.open(name, 'read');
  try {
    const { format, versionByte } = formatOf(file, path);
    requireSpace(job.to, file.size(), job.compress);
    const hash = sha256Stream();
    let position = 0;
    const sink: CopySink = async (bytes) => {
      const piece = job.compress ? await job.machine.gzip(bytes) : bytes;
      target.write(piece, position);
      hash.update(piece);
      position += piece.length;
    };
    const source = { folder, name, file, format, includePrivate: job.includePrivate };
    const copy = await copyStore(source, sink, { clock: job.clock, task: job.task, followsName });
    if (typeof copy === 'string') return copy;
    await target.dataSync();
    return { ...copy, file_bytes: position, sha256: hash.hex(), format, version_byte: versionByte };
  } finally {
    file.close();
  }
};

const writeCopy = async (job: BackupJob, tmp: string): Promise<Written | 'cancelled'> => {
  for (let start = 1; ; start++) {
    // A fresh file for each attempt: files are never made shorter.
    const target = job.to.open(tmp, 'create');
    try {
      const written = await writeOnce(job, target, start < MAX_STARTS);
      if (written !== 'replaced') return written;
    } finally {
      target.close();
    }
    if (start === MAX_STARTS) throw unsettled(job.source.path);
  }
};

const unsettled = (path: string): OperationalError =>
  new OperationalError(
    'store_unsettled',
    'retry',
    `${path} was replaced or cut short ${MAX_STARTS} times while it was copied`,
    'Run this again when the node has settled.',
  );

/** Throws `backup_damaged` when the disk gives back anything but what was written. */
const verifyWritten = async (
  job: BackupJob,
  tmp: string,
  written: Written,
): Promise<'verified' | 'cancelled'> => {
  const file = job.to.open(tmp, 'read');
  try {
    const stream = new RecordStream(() => {}, written.format.headerBytes);
    const read = await readBackup(file, job.machine, job.task, stream);
    if (read === 'cancelled') return 'cancelled';
    const same =
      read.fault === undefined &&
      read.sha256 === written.sha256 &&
      read.bytes === written.file_bytes &&
      stream.counter.records === written.counter.records;
    if (same) return 'verified';
    throw new OperationalError(
      'backup_damaged',
      'degrade',
      `the backup in ${job.to.path} does not read back as it was written (${read.fault ?? 'other bytes'})`,
      'The disk or memory is failing: look at dmesg, and name a folder on another disk with --to.',
    );
  } finally {
    file.close();
  }
};

/** Fewer than half the channels of the last good backup: the node may just have thrown its map away. */
const suspicion = (channels: number, before: BackupManifest | undefined): string | null =>
  before !== undefined && channels * 2 < before.channels
    ? `${channels} channels, fewer than half of the ${before.channels} in ${before.file}`
    : null;

const manifestOf = (
  job: BackupJob,
  file: string,
  written: Written,
  before: BackupManifest | undefined,
): Omit<BackupManifest, 'gossipd_backup'> => {
  const counts = written.counter.counts();
  return {
    file,
    compressed: job.compress,
    source: job.source.path,
    time: new Date(job.clock.nowMs()).toISOString(),
    version: written.format.version,
    source_version_byte: written.version_byte,
    header_bytes: written.format.headerBytes,
    uuid: written.uuid,
    ...counts,
    bytes: written.file_bytes,
    store_bytes: written.bytes,
    sha256: written.sha256,
    source_bytes: written.source_bytes,
    dead_bytes: written.dead_bytes,
    private_records_left_out: written.private_records_left_out,
    records_restored: written.records_restored,
    records_left_out: written.records_left_out,
    missing: written.missing,
    suspect: suspicion(counts.channels, before),
  };
};

const writeBackup = async (job: BackupJob): Promise<BackupOutcome | 'cancelled'> => {
  const { to, source } = job;
  const name = freeBackupName(to, source.name, job.clock, job.compress);
  const tmp = tmpName(name);
  try {
    const written = await writeCopy(job, tmp);
    if (written === 'cancelled' || (await verifyWritten(job, tmp, written)) === 'cancelled') {
      removeQuietly(to, tmp);
      return 'cancelled';
    }
    const before = newestGood(to, source.name)?.manifest;
    const content = manifestOf(job, name, written, before);
    to.rename(tmp, name);
    await to.sync();
    const manifest = await writeManifest(to, content);
    return { manifest, removed: await rotate(to, source.name, job.keep) };
  } catch (error) {
    removeQuietly(to, tmp);
    // Without its manifest it counts for nothing, and would only fill the disk.
    if (to.exists(name) && readManifest(to, name) === undefined) removeQuietly(to, name);
    throw error;
  }
};

/**
 * Takes one backup and rotates the ring. `cancelled`: the task was told to stop, and nothing is left of it.
 *
 * Throws OperationalError: what the disk throws, `store_missing`, `not_a_store`, `backup_busy`, `backup_damaged`,
 * `store_unsettled`; the earlier backups are as they were then.
 */
export const backUp = async (job: BackupJob): Promise<BackupOutcome | 'cancelled'> => {
  const lock = takeLock(job.to, job.source.name);
  try {
    removeLeftovers(job.to, job.source.name);
    return await writeBackup(job);
  } finally {
    lock.release();
  }
};

/** True when the source needs a look: something was missing, damaged or unreadable to its own readers. */
export const sourceIsDamaged = (manifest: BackupManifest): boolean =>
  !isGood(manifest) ||
  manifest.records_restored > 0 ||
  manifest.records_left_out > 0 ||
  manifest.source_version_byte !== manifest.version;
