/**
 * watchFile: whether the store that is open is still the file that others find under its name.
 *
 * gossip_store asks from time to time. Nothing keeps a person, a backup tool or another program from deleting, restoring,
 * truncating or appending to the file while it is open; a process that does not look goes on writing into a file that no
 * name leads to. What to do about it is the store's business.
 */
import { OperationalError } from '../base/errors.ts';
import type { FileIdentity, StoreFile, StoreFolder } from './store_file.ts';

export type FileState =
  | 'ok'
  /** The name leads to another file. */
  | 'replaced'
  /** No file has the name. */
  | 'missing'
  /** The folder is gone too. */
  | 'folder_missing'
  /** Shorter than what was written: readers that map the file are at risk, and what was cut off is lost. */
  | 'truncated'
  /** Longer than what was written: somebody else writes to it. */
  | 'grown';

/**
 * Five system calls at most. Throws OperationalError when the disk refuses to say.
 *
 * @param expectedBytes length of the file after all that its owner wrote, failed attempts included
 */
export const watchFile = (
  folder: StoreFolder,
  name: string,
  file: StoreFile,
  expectedBytes: number,
): FileState => {
  const named = folder.identity(name);
  if (named === undefined) return isThere(folder) ? 'missing' : 'folder_missing';
  if (!isSame(named, file.identity())) return 'replaced';
  const size = file.size();
  if (size < expectedBytes) return 'truncated';
  return size > expectedBytes ? 'grown' : 'ok';
};

const isSame = (one: FileIdentity, other: FileIdentity): boolean =>
  one.dev === other.dev && one.ino === other.ino;

const isThere = (folder: StoreFolder): boolean => {
  try {
    folder.list();
    return true;
  } catch (error) {
    if (error instanceof OperationalError && error.code === 'store_missing') return false;
    throw error;
  }
};
