/**
 * The ring of backups in a folder: which there are, which is the newest good one, and which are removed.
 *
 * A backup counts once its manifest can be read and its file has the size that the manifest says; restore.ts verifies the
 * content. Good ones (isGood) and others are rotated apart: a series of backups of a damaged or emptied store never pushes a
 * good one out. At most `keep` of each kind stay.
 */
import type { StoreFolder } from '../store/store_file.ts';
import {
  type BackupManifest,
  isGood,
  manifestName,
  parseBackupName,
  readManifest,
} from './backup_manifest.ts';

export interface RingEntry {
  readonly file: string;
  readonly manifest: BackupManifest;
  readonly good: boolean;
}

const sizeOf = (folder: StoreFolder, name: string): number => {
  const file = folder.open(name, 'read');
  try {
    return file.size();
  } finally {
    file.close();
  }
};

/** Newest first. @param store only backups of this name; all when undefined */
export const listBackups = (folder: StoreFolder, store: string | undefined): readonly RingEntry[] => {
  const found: { readonly entry: RingEntry; readonly order: string }[] = [];
  for (const file of folder.list()) {
    const name = parseBackupName(file);
    if (name === undefined || (store !== undefined && name.store !== store)) continue;
    const manifest = readManifest(folder, file);
    if (manifest === undefined || sizeOf(folder, file) !== manifest.bytes) continue;
    found.push({ entry: { file, manifest, good: isGood(manifest) }, order: name.order });
  }
  found.sort((left, right) => (left.order < right.order ? 1 : left.order > right.order ? -1 : 0));
  return found.map(({ entry }) => entry);
};

export const newestGood = (folder: StoreFolder, store: string | undefined): RingEntry | undefined =>
  listBackups(folder, store).find((entry) => entry.good);

/** Removes what is too old; returns the files removed. The manifest goes first, so that a file without one is what a crash leaves. */
export const rotate = async (
  folder: StoreFolder,
  store: string,
  keep: number,
): Promise<readonly string[]> => {
  const entries = listBackups(folder, store);
  const tooOld = [
    ...entries.filter((entry) => entry.good).slice(keep),
    ...entries.filter((entry) => !entry.good).slice(keep),
  ];
  for (const { file } of tooOld) {
    folder.remove(manifestName(file));
    folder.remove(file);
  }
  if (tooOld.length > 0) await folder.sync();
  return tooOld.map(({ file }) => file);
};
