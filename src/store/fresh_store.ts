/**
 * What opening needs to write besides a rewrite: a store without gossip, and the last bit of a batch.
 *
 * A new store is built under NAME.tmp, made durable and renamed, so that the name never leads to an empty file.
 */
import { encodeEmptyStore, flagByte } from './format.ts';
import type { StoreFile, StoreFolder } from './store_file.ts';
import type { WritableVersion } from './versions.ts';

const tmpName = (name: string): string => `${name}.tmp`;

/** What a rewrite that crashed left behind; nobody reads it. */
export const removeLeftovers = (folder: StoreFolder, name: string): void => {
  if (folder.exists(tmpName(name))) folder.remove(tmpName(name));
};

/**
 * Puts a store without gossip under `name`. The name is durable after the next folder.sync(). Throws what the disk throws, with
 * nothing changed under the name.
 *
 * @param uuid 32 bytes; unused below version 16
 */
export const createStore = async (
  folder: StoreFolder,
  name: string,
  version: WritableVersion,
  uuid: Uint8Array,
): Promise<StoreFile> => {
  const file = folder.open(tmpName(name), 'create');
  try {
    file.write(version === 16 ? encodeEmptyStore(uuid) : Uint8Array.of(version), 0);
    await file.dataSync();
    folder.rename(tmpName(name), name);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
};

/** Completes the record whose header is at `position` by writing its first byte. */
export const completeRecord = (file: StoreFile, position: number, flags: number): void =>
  file.write(Uint8Array.of(flagByte(flags)), position);
