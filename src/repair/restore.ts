/**
 * restoreBackup: puts a verified backup under a store's name.
 *
 * tools/restore and the preen hand in the folders, and have made sure that nobody has the target open. A backup is read twice:
 * the first time to verify every record, the manifest's figures and its SHA-256, the second time to write. Of a folder the
 * newest good backup is taken, and the next one where that fails. The new file gets a fresh uuid (version 16), because its
 * records do not stand where those of the old file stood: who follows the store by uuid and offset has to start over.
 * The order of steps leaves the name leading to the old or the new file, whole, at every instant; the old one stays as
 * NAME.bak-<utc>.
 */
import { OperationalError } from '../base/errors.ts';
import type { Rng } from '../base/rng.ts';
import type { Clock } from '../base/time.ts';
import type { StoreFile, StoreFolder } from '../store/store_file.ts';
import { upgradeRecord } from '../store/upgrade_record.ts';
import { earlyFormat5, type StoreFormat, storeFormat, type WritableVersion } from '../store/versions.ts';
import { encodeUuid } from '../wire/gossip_store_messages.ts';
import { FLAG_COMPLETED, GOSSIP_STORE_UUID, type StoreRecord } from '../wire/store_record.ts';
import { type BackupMachine, readBackup } from './backup.ts';
import { CopyWriter } from './backup_copy.ts';
import { type BackupManifest, readManifest, timeInName } from './backup_manifest.ts';
import { listBackups } from './backup_ring.ts';
import { RecordStream } from './record_stream.ts';
import type { Task } from './task.ts';
import { removeQuietly } from './temporary_file.ts';

export interface RestoreJob {
  readonly from: StoreFolder;
  /** A backup's name in `from`; undefined: the newest good one. */
  readonly file: string | undefined;
  /** Of all in `from`, those of this store; undefined: of any. */
  readonly store?: string;
  readonly to: { readonly folder: StoreFolder; readonly name: string };
  /** Undefined: as it is in the backup. */
  readonly version: WritableVersion | undefined;
  /** Asked again right before the file is put in place; throws when somebody has the target open. */
  readonly requireUnused: () => void;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly task: Task;
  readonly machine: BackupMachine;
}

export interface RefusedBackup {
  readonly file: string;
  readonly reason: string;
}

export interface RestoreOutcome {
  readonly file: string;
  /** Undefined for a file without one, of which only the records could be verified. */
  readonly manifest: BackupManifest | undefined;
  readonly version: number;
  readonly records: number;
  readonly channels: number;
  readonly bytes: number;
  /** Where the file that had the name is now; undefined when there was none. */
  readonly kept_as: string | undefined;
  /** Newer backups that did not verify. */
  readonly refused: readonly RefusedBackup[];
}

interface Verified {
  readonly file: string;
  readonly manifest: BackupManifest | undefined;
  readonly format: StoreFormat;
  readonly records: number;
}

const COPY_BYTES = 1024 * 1024;

const formatOfManifest = (manifest: BackupManifest): StoreFormat | undefined =>
  manifest.version === 5 && manifest.header_bytes === 8 ? earlyFormat5 : storeFormat(manifest.version);

const unlike = (
  manifest: BackupManifest,
  read: { readonly sha256: string; readonly bytes: number; readonly stream: RecordStream },
): string | undefined => {
  if (read.bytes !== manifest.bytes)
    return `has ${read.bytes} bytes, and its manifest says ${manifest.bytes}`;
  if (read.sha256 !== manifest.sha256) return 'has another SHA-256 than its manifest';
  if (read.stream.format !== formatOfManifest(manifest)) return 'has another version than its manifest';
  const { records, channels } = read.stream.counter;
  if (records !== manifest.records || channels !== manifest.channels)
    return `holds ${records} records and ${channels} channels, and its manifest says ${manifest.records} and ${manifest.channels}`;
  return undefined;
};

const FAULT_WORDS = {
  empty_file: 'is empty',
  unknown_version: 'is no gossip_store',
  torn_record: 'ends in the middle of a record',
  bad_checksum: 'holds a record with a wrong checksum',
  bad_length: 'holds a record without a message',
  incomplete_record: 'holds a record that was not completed',
} as const;

/** What is wrong with it as text, or what was verified. Throws what the disk throws. */
const verify = async (job: RestoreJob, file: string): Promise<Verified | string | 'cancelled'> => {
  const manifest = readManifest(job.from, file);
  const stream = new RecordStream(() => {}, manifest?.header_bytes);
  const opened = job.from.open(file, 'read');
  try {
    const read = await readBackup(opened, job.machine, job.task, stream);
    if (read === 'cancelled') return 'cancelled';
    if (read.fault !== undefined) return FAULT_WORDS[read.fault];
    const difference = manifest === undefined ? undefined : unlike(manifest, read);
    if (difference !== undefined) return difference;
    if (stream.format === undefined) return FAULT_WORDS.unknown_version;
    return { file, manifest, format: stream.format, records: stream.counter.records };
  } catch (error) {
    if (error instanceof OperationalError && error.code === 'backup_damaged') return error.message;
    throw error;
  } finally {
    opened.close();
  }
};

const noBackup = (job: RestoreJob, refused: readonly RefusedBackup[]): OperationalError => {
  const [first] = refused;
  if (first === undefined)
    return new OperationalError(
      'backup_missing',
      'stop',
      `there is no backup with a manifest in ${job.from.path}`,
      'Name the folder that "gossipd backup --to" was given.',
    );
  const others = refused.length === 1 ? '' : `, nor can ${refused.length - 1} others be used`;
  return new OperationalError(
    'backup_damaged',
    'stop',
    `${first.file} ${first.reason}${others}; the store was left as it is`,
    `gossipd repair ${job.from.path}/${first.file} --output NEW_FILE`,
  );
};

interface Choice {
  readonly verified: Verified;
  readonly refused: readonly RefusedBackup[];
}

/** The named backup, or the newest good one that verifies, or else the newest that verifies. */
const choose = async (job: RestoreJob): Promise<Choice | 'cancelled'> => {
  const listed = job.file === undefined ? listBackups(job.from, job.store) : [];
  const files =
    job.file === undefined
      ? [...listed.filter((entry) => entry.good), ...listed.filter((entry) => !entry.good)].map(
          (entry) => entry.file,
        )
      : [job.file];
  const refused: RefusedBackup[] = [];
  for (const file of files) {
    const verified = await verify(job, file);
    if (verified === 'cancelled') return 'cancelled';
    if (typeof verified !== 'string') return { verified, refused };
    refused.push({ file, reason: verified });
  }
  throw noBackup(job, refused);
};

const targetFormat = (from: StoreFormat, version: WritableVersion | undefined): StoreFormat => {
  if (version === undefined || version === from.version) return from;
  return storeFormat(version) ?? from;
};

interface WrittenStore {
  readonly format: StoreFormat;
  readonly bytes: number;
  readonly records: number;
  readonly channels: number;
}

/** Writes the backup's records to `target`, with a fresh uuid where the version has one. */
const writeStore = async (
  job: RestoreJob,
  { file, manifest, format: from, records }: Verified,
  target: StoreFile,
): Promise<WrittenStore | 'cancelled'> => {
  const format = targetFormat(from, job.version);
  let position = 0;
  const writer = new CopyWriter(format, async (bytes) => {
    target.write(bytes, position);
    position += bytes.length;
  });
  const complete = format.hasCompleted ? FLAG_COMPLETED : 0;
  if (format.hasUuid) {
    const uuid = encodeUuid(job.rng.bytes(32));
    writer.add(uuid, 0, uuid.length, 0, complete);
  }
  const converts = format !== from;
  const emit = (message: Uint8Array, timestamp: number, flags: number): void => {
    writer.add(message, 0, message.length, timestamp, flags);
  };
  const visit = (record: StoreRecord): void => {
    if (record.type === GOSSIP_STORE_UUID) return;
    if (converts) upgradeRecord(record, from, format.version as WritableVersion, emit);
    else writer.add(record.bytes, record.at, record.length, record.timestamp, record.flags);
  };
  const stream = new RecordStream(visit, manifest?.header_bytes);
  const opened = job.from.open(file, 'read');
  try {
    const read = await readBackup(opened, job.machine, job.task, stream, () => writer.flush());
    if (read === 'cancelled') return 'cancelled';
    await writer.flush();
    if (read.fault !== undefined || stream.counter.records !== records) throw changedMeanwhile(job, file);
    await target.dataSync();
    return { format, bytes: writer.bytes, records, channels: stream.counter.channels };
  } finally {
    opened.close();
  }
};

const changedMeanwhile = (job: RestoreJob, file: string): OperationalError =>
  new OperationalError(
    'backup_damaged',
    'degrade',
    `${job.from.path}/${file} read differently the second time; the store was left as it is`,
    'The disk or memory is failing: look at dmesg, and copy the backups to another disk.',
  );

/** Verifies what was just written, by the same rules as a backup. */
const verifyStore = async (job: RestoreJob, tmp: string, wanted: WrittenStore): Promise<void> => {
  const file = job.to.folder.open(tmp, 'read');
  try {
    const stream = new RecordStream(() => {}, wanted.format.headerBytes);
    const read = await readBackup(file, job.machine, { ...job.task, cancelled: () => undefined }, stream);
    if (read !== 'cancelled' && read.fault === undefined && read.bytes === wanted.bytes) return;
    throw new OperationalError(
      'disk_error',
      'degrade',
      `${job.to.folder.path}/${tmp} does not read back as it was written; the store was left as it is`,
      'The disk or memory is failing: look at dmesg, and restore to another disk.',
    );
  } finally {
    file.close();
  }
};

/** A name for the file that is replaced. */
export const keptName = (folder: StoreFolder, name: string, clock: Clock): string => {
  const first = `${name}.bak-${timeInName(clock)}`;
  for (let number = 0; ; number++) {
    const candidate = number === 0 ? first : `${first}-${number}`;
    if (!folder.exists(candidate)) return candidate;
  }
};

/** Gives the present file a second name; a file system without links gets a copy. Throws what the disk throws. */
export const keepPresent = async (folder: StoreFolder, name: string, clock: Clock): Promise<string> => {
  const kept = keptName(folder, name, clock);
  try {
    folder.link(name, kept);
  } catch (error) {
    if (!(error instanceof OperationalError) || folder.identity(name) === undefined) throw error;
    await copyFile(folder, name, kept);
  }
  try {
    await folder.sync();
  } catch (error) {
    removeQuietly(folder, kept);
    throw error;
  }
  return kept;
};

const copyFile = async (folder: StoreFolder, name: string, copy: string): Promise<void> => {
  const source = folder.open(name, 'read');
  try {
    const target = folder.open(copy, 'create');
    try {
      const size = source.size();
      const buffer = new Uint8Array(Math.min(COPY_BYTES, Math.max(1, size)));
      for (let position = 0; position < size; ) {
        const got = source.read(buffer, 0, Math.min(buffer.length, size - position), position);
        if (got === 0) break;
        target.write(buffer.subarray(0, got), position);
        position += got;
      }
      await target.dataSync();
    } catch (error) {
      removeQuietly(folder, copy);
      throw error;
    } finally {
      target.close();
    }
  } finally {
    source.close();
  }
};

const putInPlace = async (job: RestoreJob, tmp: string): Promise<string | undefined> => {
  const { folder, name } = job.to;
  job.requireUnused();
  const kept = folder.exists(name) ? await keepPresent(folder, name, job.clock) : undefined;
  try {
    folder.rename(tmp, name);
  } catch (error) {
    if (kept !== undefined) removeQuietly(folder, kept);
    throw error;
  }
  await folder.sync();
  // It describes the file that was replaced.
  removeQuietly(folder, `${name}.index`);
  return kept;
};

/**
 * Throws OperationalError: what the disk throws, `backup_missing`, `backup_damaged`, what `requireUnused` throws. The name then
 * leads to the file that it led to before, but for a failure of the very last sync of the directory.
 */
export const restoreBackup = async (job: RestoreJob): Promise<RestoreOutcome | 'cancelled'> => {
  const choice = await choose(job);
  if (choice === 'cancelled') return 'cancelled';
  const { verified, refused } = choice;
  const { folder, name } = job.to;
  job.requireUnused();
  const tmp = `${name}.restore.tmp`;
  const target = folder.open(tmp, 'create');
  try {
    const written = await writeStore(job, verified, target);
    if (written === 'cancelled') {
      removeQuietly(folder, tmp);
      return 'cancelled';
    }
    await verifyStore(job, tmp, written);
    const kept_as = await putInPlace(job, tmp);
    const { file, manifest } = verified;
    const { format, bytes, records, channels } = written;
    return { file, manifest, version: format.version, records, channels, bytes, kept_as, refused };
  } catch (error) {
    if (folder.exists(tmp)) removeQuietly(folder, tmp);
    throw error;
  } finally {
    target.close();
  }
};
