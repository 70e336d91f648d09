/** Makes what root writes beside a node's store belong to who owns the store, so that the node can go on with it. */
import { chmodSync, chownSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { silentLog } from '../base/log.ts';
import type { StoreFolder, StoreLock } from '../store/store_file.ts';

/** Gives files of the folder, by name, owner and mode of the file at `path`, as far as the system lets us. */
export const ownedLike =
  (path: string, folder: StoreFolder) =>
  (name: string): void => {
    const made = join(folder.path, name);
    try {
      const { mode, uid, gid } = statSync(path);
      chmodSync(made, mode % 0o1000);
      chownSync(made, uid, gid);
    } catch {
      // Only root may give files away; what others make is theirs.
    }
  };

/** Takes the lock of gossipd's own writer. Throws `store_locked`. The lock's file stays, and must not shut its owner out later. */
export const lockFor = (path: string, folder: StoreFolder, name: string): StoreLock => {
  const lockName = `${name}.lock`;
  const isNew = !folder.exists(lockName);
  const lock = folder.lock(lockName, silentLog);
  if (isNew) ownedLike(path, folder)(lockName);
  return lock;
};
