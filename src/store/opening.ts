/**
 * opening: from a folder to a store file that is loaded, and known to be sound up to some offset.
 *
 * GossipStore.open calls it under the lock. It creates what is missing, refuses other versions without touching them,
 * loads, and keeps a copy of an end that cannot be used. Replacing such a file by its good part is left to the store, which
 * tries again for as long as the disk refuses: the map is loaded either way, and nothing is published until then, because
 * no reader would get past the damage.
 */
import { readU16 } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Rng } from '../base/rng.ts';
import type { Clock } from '../base/time.ts';
import { STORE_UUID_BYTES } from '../wire/gossip_store_messages.ts';
import {
  FLAG_COMPLETED,
  GOSSIP_STORE_UUID,
  RECORD_HEADER_BYTES,
  type StoreRecord,
  storeOffset,
} from '../wire/store_record.ts';
import {
  EMPTY_STORE_BYTES,
  FIRST_RECORD_POSITION,
  headerFlags,
  headerLength,
  requireVersion,
  UUID_BYTES,
} from './format.ts';
import { type DropReason, type Loaded, type LoadMark, loadStore } from './load.ts';
import { completeRecord, rebuildStore, removeLeftovers, saveTail } from './rebuild.ts';
import { readVersion, scanStore } from './scan.ts';
import type { StoreFile, StoreFolder } from './store_file.ts';
import { MIN_WALK_BUFFER_BYTES, RecordWalker } from './walker.ts';

export interface TailReport {
  /** Header position from which the file could not be used. */
  readonly offset: number;
  readonly length: number;
  readonly reason: string;
  /** Name of the file in the same folder that keeps the bytes; empty if the disk refused it. */
  readonly savedAs: string;
}

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
  readonly tail?: TailReport;
}

export interface OpeningPorts {
  readonly folder: StoreFolder;
  readonly name: string;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
}

export interface OpenedStore {
  readonly file: StoreFile;
  readonly uuid: Uint8Array;
  /** Header position behind the last good record. */
  readonly end: number;
  readonly marks: readonly LoadMark[];
  readonly report: LoadReport;
  /** Behind `end` is something that no reader gets past: the file is to be replaced before anything is published. */
  readonly mustRebuild: boolean;
}

/**
 * Where the records behind the uuid start, or undefined if the file must be written anew to have a uuid at its start.
 * A damaged uuid is recognised by its length and type: it is replaced, and what follows stays.
 */
const uuidRecord = (file: StoreFile): { readonly restart: number } | undefined => {
  const head = new Uint8Array(RECORD_HEADER_BYTES + 2);
  const got = file.read(head, 0, head.length, FIRST_RECORD_POSITION);
  const isUuid =
    got === head.length &&
    headerLength(head, 0) === STORE_UUID_BYTES &&
    readU16(head, RECORD_HEADER_BYTES) === GOSSIP_STORE_UUID &&
    file.size() >= EMPTY_STORE_BYTES;
  if (!isUuid) return { restart: FIRST_RECORD_POSITION };
  const walker = new RecordWalker(file, FIRST_RECORD_POSITION, new Uint8Array(MIN_WALK_BUFFER_BYTES));
  return walker.step(EMPTY_STORE_BYTES) === 'live' ? undefined : { restart: EMPTY_STORE_BYTES };
};

const tryTail = async (ports: OpeningPorts, file: StoreFile, start: number, end: number): Promise<string> => {
  try {
    return await saveTail(ports.folder, ports.name, file, start, end, ports.clock);
  } catch (error) {
    ports.log.unusual('could not keep the unusable end of the store; going on without it', {
      reason: error instanceof Error ? error.message : String(error),
    });
    return '';
  }
};

/** Creates the store if there is none, and gives it a uuid at its start if it has none. */
const ensureStore = async (ports: OpeningPorts): Promise<StoreFile> => {
  const { folder, name } = ports;
  removeLeftovers(folder, name);
  const file = folder.exists(name) ? folder.open(name, 'write') : undefined;
  const version = file === undefined ? undefined : readVersion(file);
  if (file === undefined || version === undefined) {
    const rebuilt = await rebuildStore(folder, name, undefined, ports.rng.bytes(UUID_BYTES));
    await rebuilt.finish();
    file?.close();
    return rebuilt.file;
  }
  try {
    requireVersion(version, `${folder.path}/${name}`);
    const missing = uuidRecord(file);
    if (missing === undefined) return file;
    const { restart } = missing;
    const from = storeOffset(restart + RECORD_HEADER_BYTES);
    const { end } = scanStore(file, () => {}, { from });
    const size = file.size();
    if (end < size) await tryTail(ports, file, end, size);
    const old = { file, start: restart, end: Math.max(restart, end) };
    const rebuilt = await rebuildStore(folder, name, old, ports.rng.bytes(UUID_BYTES));
    await rebuilt.finish();
    ports.log.unusual('the store did not start with a sound uuid: it was written anew with one', {
      bytes_kept: old.end - restart,
      bytes_set_aside: size - end,
    });
    return rebuilt.file;
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
      log.info('completed the last batch of the store, which was written whole', { offset: position });
      return true;
    } catch (error) {
      if (error instanceof OperationalError) return false;
      throw error;
    }
  };

/** Keeps a copy of the unusable end, and says what happened. */
const setAside = async (ports: OpeningPorts, file: StoreFile, loaded: Loaded): Promise<TailReport> => {
  const size = file.size();
  const savedAs = await tryTail(ports, file, loaded.end, size);
  const tail = { offset: loaded.end, length: size - loaded.end, reason: loaded.reason, savedAs };
  ports.log.unusual(
    `the store was unusable from offset ${tail.offset} on (${tail.reason}): ${tail.length} bytes set aside, ` +
      `${loaded.records} records kept. No funds are in this file; what is missing is fetched again from peers`,
    { saved_as: savedAs },
  );
  return tail;
};

/** Throws OperationalError: another version, or a disk that refuses to be read. */
export const openStoreFile = async (
  ports: OpeningPorts,
  visit: (record: StoreRecord) => void,
): Promise<OpenedStore> => {
  const started = ports.clock.monotonicMs();
  const file = await ensureStore(ports);
  let loaded: Loaded;
  try {
    loaded = loadStore({ file, rng: ports.rng, visit, completeBatch: completeBatchIn(file, ports.log) });
  } catch (error) {
    file.close();
    throw error;
  }
  const report = {
    records: loaded.records,
    deleted: loaded.deleted,
    bytes: loaded.end,
    milliseconds: ports.clock.monotonicMs() - started,
    dropped: loaded.dropped,
    completedBatch: loaded.completedBatch,
  };
  const { end, marks, uuid } = loaded;
  if (loaded.reason === 'end_of_file') return { file, uuid, end, marks, report, mustRebuild: false };
  const tail = await setAside(ports, file, loaded);
  return { file, uuid, end, marks, report: { ...report, tail }, mustRebuild: true };
};
