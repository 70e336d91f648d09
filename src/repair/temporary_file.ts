/** Names for files under way, second names for files that stay, and cleaning up after a disk that refused. */
import { toHex } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import type { Rng } from '../base/rng.ts';
import type { StoreFolder } from '../store/store_file.ts';

const COPY_BYTES = 1024 * 1024;
const TEMPORARY = /^.+\.repair-[0-9a-f]{16}\.tmp$/;

/** Drawn at random, so that two repairs at once, or one over a leftover, never write to one file. */
export const temporaryName = (name: string, rng: Rng): string => `${name}.repair-${toHex(rng.bytes(8))}.tmp`;

/** What a repair that was killed left behind has such a name. */
export const isTemporaryName = (name: string): boolean => TEMPORARY.test(name);

/** Cleaning up after a failure must not hide the failure. */
export const removeQuietly = (folder: StoreFolder, name: string): void => {
  try {
    folder.remove(name);
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
  }
};

/**
 * Gives a file a second name, which must be free; where the file system has no links, a durable copy under it.
 * Throws what the disk throws; there may then be a part of a copy.
 */
export const secondName = async (folder: StoreFolder, name: string, second: string): Promise<void> => {
  try {
    folder.link(name, second);
  } catch (error) {
    if (!(error instanceof OperationalError) || folder.exists(second)) throw error;
    await copyFile(folder, name, second);
  }
};

const copyFile = async (folder: StoreFolder, name: string, second: string): Promise<void> => {
  const from = folder.open(name, 'read');
  try {
    const to = folder.open(second, 'create');
    try {
      const buffer = new Uint8Array(COPY_BYTES);
      for (let at = 0; ; ) {
        const got = from.read(buffer, 0, buffer.length, at);
        if (got === 0) break;
        to.write(buffer.subarray(0, got), at);
        at += got;
      }
      await to.dataSync();
    } finally {
      to.close();
    }
  } finally {
    from.close();
  }
};
