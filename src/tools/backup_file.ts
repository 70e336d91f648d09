/**
 * Opens a backup to read records from: any gossip_store, or one compressed with gzip, which is unpacked into a file without
 * a name first, because its records are looked for more than once.
 */
import { createReadStream, createWriteStream, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { OperationalError } from '../base/errors.ts';
import { nodeStoreFolder, type StoreFile } from '../store/store_file.ts';

export interface OpenBackup {
  readonly file: StoreFile;
  readonly close: () => void;
}

const isGzip = (file: StoreFile): boolean => {
  const start = new Uint8Array(2);
  return file.read(start, 0, 2, 0) === 2 && start[0] === 0x1f && start[1] === 0x8b;
};

/** Half of the room that there is: a small file can unpack to any size. */
const atMost = (bytes: number): Transform => {
  let passed = 0;
  return new Transform({
    transform(piece: Uint8Array, _encoding, done) {
      passed += piece.length;
      if (passed <= bytes) done(null, piece);
      else
        done(Object.assign(new Error('it unpacks to more than half of the free space'), { code: 'ENOSPC' }));
    },
  });
};

const unpack = async (path: string): Promise<OpenBackup> => {
  const folder = mkdtempSync(join(tmpdir(), 'gossipd-backup-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const { bavail, bsize } = statfsSync(folder);
    await pipeline(
      createReadStream(path),
      createGunzip(),
      atMost((bavail * bsize) / 2),
      createWriteStream(join(folder, 'store'), { mode: 0o600 }),
    );
    const file = nodeStoreFolder(folder).open('store', 'read');
    return {
      file,
      close: () => {
        file.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw new OperationalError(
      'backup_unreadable',
      'stop',
      `${path} cannot be unpacked: ${error instanceof Error ? error.message : String(error)}`,
      'Name another backup; "gossipd backup" writes its names with their time.',
      error,
    );
  }
};

/** Throws OperationalError. */
export const openBackupFile = async (path: string): Promise<OpenBackup> => {
  const absolute = resolve(path);
  const file = nodeStoreFolder(dirname(absolute)).open(basename(absolute), 'read');
  if (!isGzip(file)) return { file, close: () => file.close() };
  file.close();
  return unpack(absolute);
};
