/**
 * opening: from a folder to a store file that is loaded, and known to be sound up to some offset.
 *
 * GossipStore.open calls it under the lock. It creates what is missing, refuses what is no gossip_store or of a later major
 * version without touching it, and loads the rest. Writing a damaged file, or one of another version, anew is left to the
 * store, which tries again for as long as the disk refuses: the map is loaded either way, and nothing is published until
 * then. Only versions before 7, whose records look different, are written anew before they are loaded.
 */
import { OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Rng } from '../base/rng.ts';
import type { Clock } from '../base/time.ts';
import { FLAG_COMPLETED, type StoreRecord } from '../wire/store_record.ts';
import {
  EMPTY_STORE_BYTES,
  FIRST_RECORD_POSITION,
  headerFlags,
  STORE_VERSION,
  UUID_BYTES,
} from './format.ts';
import { completeRecord, createStore, removeLeftovers } from './fresh_store.ts';
import { type Losses, lossesIn } from './indexing.ts';
import { type DropReason, type Loaded, type LoadMark, loadStore } from './load.ts';
import { patientFile } from './patient_file.ts';
import { Rewrite } from './rewrite.ts';
import type { Gap } from './salvage_reader.ts';
import { readSeal, type StoreSeal } from './sidecar_seal.ts';
import type { StoreFile, StoreFolder } from './store_file.ts';
import { detectFormat, type StoreFormat, storeFormat, type WritableVersion } from './versions.ts';

export interface LoadReport {
  /** Live records handed to the visitor, the uuid included. */
  readonly records: number;
  /** Records that were already flagged DELETED. */
  readonly deleted: number;
  /** File length after the load. */
  readonly bytes: number;
  readonly milliseconds: number;
  /** Records flagged at load, by reason. */
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
  /** A batch was found whole but not completed, and was completed. */
  readonly completedBatch: boolean;
  /** Version that the file had; the first byte says otherwise when it was damaged. */
  readonly version: number;
  /** Damaged ranges; listed up to MAX_LISTED. */
  readonly gaps: readonly Gap[];
  readonly gapCount: number;
  readonly gapBytes: number;
  /** Records whose damaged headers could be put right. */
  readonly restored: number;
  /** What is known to be missing because of the damage. */
  readonly lost: Losses;
  /** Why the file had to be written anew; undefined when it was sound. */
  readonly rewritten: RewriteReason | undefined;
  /** The file was not read, as the caller had what is in it: nothing was visited, and no record is counted here. */
  readonly fromSnapshot: boolean;
}

/** `first_byte`: it does not say which version the records have. */
export type RewriteReason = 'damage' | 'first_byte' | 'version' | 'no_uuid';

export interface OpeningPorts {
  readonly folder: StoreFolder;
  readonly name: string;
  /** To be written. */
  readonly version: WritableVersion;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  /** See GossipStoreOptions. */
  readonly restore?: ((token: string) => boolean) | undefined;
}

export interface OpenedStore {
  readonly file: StoreFile;
  /** Of the file as it is. */
  readonly format: StoreFormat;
  readonly uuid: Uint8Array;
  /** Header position behind the last good record. */
  readonly end: number;
  readonly marks: readonly LoadMark[];
  readonly deletedBytes: number;
  readonly report: LoadReport;
}

/** What is told a person whose file is no store of ours. */
const refuse = (path: string, versionByte: number): OperationalError =>
  versionByte >>> 5 === 0
    ? new OperationalError(
        'store_version_unsupported',
        'stop',
        `${path} is not a gossip_store: no record in it can be read (its first byte is ${versionByte})`,
        'The file was left as it is. Move it aside and start again: no funds are in a gossip_store, and peers have the map.',
      )
    : new OperationalError(
        'store_version_unsupported',
        'stop',
        `${path} has major version ${versionByte >>> 5}, which this program does not know; the file was left as it is`,
        `If its first byte is only damaged: "gossipd repair ${path} --output NEW". Else move it aside: no funds are in it.`,
      );

const unreadable = (path: string): OperationalError =>
  new OperationalError(
    'disk_error',
    'stop',
    `${path} cannot be read: the disk refuses`,
    'Look at the kernel log (dmesg), copy what can be read to another disk, and start with that. No funds are in this file.',
  );

const fresh = async ({ folder, name, version, rng }: OpeningPorts): Promise<StoreFile> => {
  const created = await createStore(folder, name, version, rng.bytes(UUID_BYTES));
  await folder.sync();
  return created;
};

const formatOf = (version: WritableVersion): StoreFormat => {
  const format = storeFormat(version);
  if (format === undefined)
    throw new OperationalError('bad_config', 'stop', `no version ${version}`, 'Use 16.');
  return format;
};

/** Versions 3 to 6: written anew with the records of today. Throws what the disk throws, with nothing changed. */
const convertEarly = async (
  ports: OpeningPorts,
  file: StoreFile,
  format: StoreFormat,
): Promise<StoreFile> => {
  const { folder, name, version, rng, log } = ports;
  const rewrite = Rewrite.begin(
    folder,
    name,
    { file, format, start: FIRST_RECORD_POSITION, isDead: () => false, keepTombstonesFrom: 0 },
    { version, uuid: rng.bytes(UUID_BYTES) },
  );
  try {
    while (!rewrite.step(file.size(), Number.MAX_SAFE_INTEGER));
    await rewrite.sync();
    folder.link(name, `${name}.v${format.version}`);
  } catch (error) {
    // The old file keeps its second name from an attempt before this one.
    if (!folder.exists(`${name}.v${format.version}`)) {
      rewrite.abort();
      throw error;
    }
  }
  const committed = rewrite.commit();
  await committed.finish();
  log.info('the store was converted', { from_version: format.version, to_version: version });
  return committed.file;
};

interface Found {
  readonly file: StoreFile;
  readonly format: StoreFormat;
  /** The first byte does not say which version the records have. */
  readonly sniffed: boolean;
}

/** Creates the store if there is none; refuses what is none. */
const findStore = async (ports: OpeningPorts): Promise<Found> => {
  const { folder, name, version } = ports;
  removeLeftovers(folder, name);
  const file = folder.exists(name) ? folder.open(name, 'write') : undefined;
  if (file === undefined) return { file: await fresh(ports), format: formatOf(version), sniffed: false };
  try {
    const patient = patientFile(file);
    const detected = detectFormat(patient);
    // What the records of a later major version mean is not ours to guess, even where they look familiar.
    if (detected.versionByte !== undefined && detected.versionByte >>> 5 !== 0)
      throw refuse(`${folder.path}/${name}`, detected.versionByte);
    if (detected.format === undefined) {
      if (patient.unreadableBytes() > 0) throw unreadable(`${folder.path}/${name}`);
      const { versionByte } = detected;
      // An empty file, or a first byte alone that was never right, holds nothing that could be lost.
      if (versionByte !== undefined && file.size() > 1) throw refuse(`${folder.path}/${name}`, versionByte);
      file.close();
      return { file: await fresh(ports), format: formatOf(version), sniffed: false };
    }
    const { format, sniffed } = detected;
    if (format.headerBytes === 12 && format.checksum === 'crc32c') return { file, format, sniffed };
    const converted = await convertEarly(ports, file, format);
    return { file: converted, format: formatOf(version), sniffed: false };
  } catch (error) {
    file.close();
    throw error;
  }
};

const completeBatchIn =
  (file: StoreFile, log: Log) =>
  (position: number): boolean => {
    const flags = new Uint8Array(2);
    try {
      file.read(flags, 0, 2, position);
      completeRecord(file, position, headerFlags(flags, 0) | FLAG_COMPLETED);
      log.info(
        'the last batch of the store was written whole and not completed, as by a kill: completed it now. Nothing was lost, and ' +
          'no funds are in this file',
        { offset: position },
      );
      return true;
    } catch (error) {
      if (error instanceof OperationalError) return false;
      throw error;
    }
  };

const rewriteReason = (found: Found, loaded: Loaded, version: WritableVersion): RewriteReason | undefined => {
  if (loaded.gapCount > 0 || loaded.restored > 0) return 'damage';
  if (found.sniffed) return 'first_byte';
  if (found.format.version !== version) return 'version';
  return found.format.hasUuid && loaded.uuid === undefined ? 'no_uuid' : undefined;
};

/** What the orphans in the file tell, and the sidecar. */
const lossesAt = (ports: OpeningPorts, file: StoreFile, format: StoreFormat, loaded: Loaded): Losses => {
  if (loaded.gapCount === 0) return { channels: [], nodes: [] };
  const uuid = new Uint8Array(UUID_BYTES);
  if (format.hasUuid) file.read(uuid, 0, UUID_BYTES, EMPTY_STORE_BYTES - UUID_BYTES);
  const known = lossesIn(ports.folder, ports.name, uuid, file, format, loaded.gaps);
  return {
    channels: [...loaded.lost, ...(known?.channels ?? [])],
    nodes: known?.nodes ?? [],
  };
};

/** The file without a look at it, if the caller has what a clean stop left in it. */
const openSealed = (ports: OpeningPorts, started: number): OpenedStore | undefined => {
  const { folder, name, version, restore } = ports;
  if (restore === undefined || version !== STORE_VERSION || !folder.exists(name)) return undefined;
  const file = folder.open(name, 'write');
  let seal: StoreSeal | undefined;
  try {
    const found = readSeal(folder, name, file);
    if (found === undefined) return undefined;
    removeLeftovers(folder, name);
    if (restore(found.token)) seal = found;
  } finally {
    if (seal === undefined) file.close();
  }
  if (seal === undefined) return undefined;
  const format = formatOf(version);
  const { uuid, size, deadBytes } = seal;
  const report: LoadReport = {
    ...{ records: 0, deleted: 0, dropped: {}, completedBatch: false, gaps: [], gapCount: 0, gapBytes: 0 },
    ...{ restored: 0, lost: { channels: [], nodes: [] }, rewritten: undefined, fromSnapshot: true },
    bytes: size,
    milliseconds: ports.clock.monotonicMs() - started,
    version: format.version,
  };
  return { file, format, uuid, end: size, marks: [], deletedBytes: deadBytes, report };
};

/** Throws OperationalError: not a store, a later major version, or a disk that refuses to be read. */
export const openStoreFile = async (
  ports: OpeningPorts,
  visit: (record: StoreRecord) => void,
): Promise<OpenedStore> => {
  const started = ports.clock.monotonicMs();
  const sealed = openSealed(ports, started);
  if (sealed !== undefined) return sealed;
  const found = await findStore(ports);
  const { file, format } = found;
  let loaded: Loaded;
  try {
    loaded = loadStore({
      // A sector that cannot be read costs the records in it, not the map.
      file: patientFile(file),
      format,
      rng: ports.rng,
      visit,
      completeBatch: completeBatchIn(file, ports.log),
    });
  } catch (error) {
    file.close();
    throw error;
  }
  const { end, marks, uuid, deletedBytes, records, deleted, dropped, completedBatch } = loaded;
  const { gaps, gapCount, gapBytes, restored } = loaded;
  const report: LoadReport = {
    ...{ records, deleted, dropped, completedBatch, gaps, gapCount, gapBytes, restored },
    lost: lossesAt(ports, file, format, loaded),
    bytes: end,
    milliseconds: ports.clock.monotonicMs() - started,
    version: format.version,
    rewritten: rewriteReason(found, loaded, ports.version),
    fromSnapshot: false,
  };
  return { file, format, uuid: uuid ?? new Uint8Array(UUID_BYTES), end, marks, deletedBytes, report };
};
