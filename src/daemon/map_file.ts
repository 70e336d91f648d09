/**
 * map.snapshot: the map as the last clean stop left it, so that the next start needs neither to read nor to check the store.
 *
 * compose hands restoreMap to the store, which calls it with the token of the file that it is about to load (sidecar_seal.ts); the
 * daemon calls saveMap with the token that closing the store gave. The token ties the snapshot to just that file; program version
 * and network are part of the tie too, because another version may make another map of the same records. What does not fit is
 * ignored, and removed as soon as the store has been loaded in the ordinary way.
 * Written under a temporary name, synced, renamed; mode 0600, as it holds the key of the hash tables. Losing it costs one full
 * load, so nothing here throws for the disk's sake, and a slow disk does not hold up the stop: a checksum tells what is whole.
 */
import { OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Clock } from '../base/time.ts';
import type { NetworkGraph } from '../graph/network_graph.ts';
import type { StoreFile, StoreFolder } from '../store/store_file.ts';

export const MAP_FILE_NAME = 'map.snapshot';
const DRAFT_NAME = `${MAP_FILE_NAME}.tmp`;

/** Half of what a stop may take (run.ts). */
const SYNC_LIMIT_MS = 1_000;
/** So many times the map's size stays free for others. */
const FREE_FACTOR = 4;

export interface MapFile {
  readonly folder: StoreFolder;
  readonly graph: NetworkGraph;
  readonly network: string;
  /** Of this program. */
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
}

const tieOf = ({ version, network }: MapFile, token: string): string =>
  `gossipd ${version} ${network} ${token}`;

/** The store's `restore`: true when the map is now what it was when the store was closed with this token. */
export const restoreMap = (map: MapFile, token: string): boolean => {
  const { folder, graph, log } = map;
  let file: StoreFile | undefined;
  try {
    if (!folder.exists(MAP_FILE_NAME)) return false;
    file = folder.open(MAP_FILE_NAME, 'read');
    const isRestored = graph.restore(tieOf(map, token), file);
    if (!isRestored) log.debug('the snapshot of the map is damaged or of another store: reading the store');
    return isRestored;
  } catch (error) {
    tell(log, 'the snapshot of the map cannot be read: reading the store', error);
    return false;
  } finally {
    file?.close();
  }
};

/** After a clean stop, with the token that it gave. */
export const saveMap = async (map: MapFile, token: string): Promise<void> => {
  const { folder, graph, log } = map;
  try {
    if (folder.freeBytes() < graph.memoryBytes() * FREE_FACTOR) return;
    const file = folder.open(DRAFT_NAME, 'create');
    try {
      graph.save(tieOf(map, token), file);
    } catch (error) {
      file.close();
      throw error;
    }
    await patiently(
      map.clock,
      file.dataSync().finally(() => file.close()),
    );
    folder.rename(DRAFT_NAME, MAP_FILE_NAME);
  } catch (error) {
    tell(log, 'the snapshot of the map could not be written: the next start reads the store', error);
    discard(map, DRAFT_NAME);
  }
};

/** A snapshot that was not taken is of no use any more. */
export const discardMap = (map: MapFile): void => {
  discard(map, MAP_FILE_NAME);
  discard(map, DRAFT_NAME);
};

const discard = ({ folder, log }: MapFile, name: string): void => {
  try {
    if (folder.exists(name)) folder.remove(name);
  } catch (error) {
    tell(log, `${name} could not be removed`, error);
  }
};

/** Rejects as the sync does, if that is over in time. */
const patiently = async (clock: Clock, syncing: Promise<void>): Promise<void> => {
  let cancel = (): void => {};
  const limit = new Promise<void>((resolve) => {
    cancel = clock.after(SYNC_LIMIT_MS, resolve);
  });
  await Promise.race([syncing, limit]).finally(cancel);
};

/** What is no OperationalError is a bug, and goes on to the caller. */
const tell = (log: Log, what: string, error: unknown): void => {
  if (!(error instanceof OperationalError)) throw error;
  log.debug(what, { reason: error.message });
};
