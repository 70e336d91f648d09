/** What backups and the guard need of the machine besides files: gzip, figures of the disk. */
import { statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { createGunzip, gzip } from 'node:zlib';
import { OperationalError } from '../base/errors.ts';
import type { BackupMachine } from '../repair/backup.ts';
import type { DiskFigures } from '../repair/guard_judge.ts';

const gzipAsync = promisify(gzip);
/** Gossip is keys and signatures: higher levels take three times as long for one percent. */
const GZIP_LEVEL = 4;

async function* gunzipped(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = Readable.from(pieces, { objectMode: true, highWaterMark: 1 });
  const unpacker = createGunzip({ chunkSize: 256 * 1024 });
  source.once('error', (error) => unpacker.destroy(error));
  try {
    for await (const piece of source.pipe(unpacker)) {
      if (piece instanceof Uint8Array) yield piece;
    }
  } catch (error) {
    if (error instanceof OperationalError) throw error;
    throw new OperationalError(
      'backup_damaged',
      'stop',
      'cannot be unpacked: it is cut short or damaged',
      'Use an older backup.',
      error,
    );
  } finally {
    source.destroy();
    unpacker.destroy();
  }
}

export const backupMachine = (): BackupMachine => ({
  gzip: (bytes) => gzipAsync(bytes, { level: GZIP_LEVEL }),
  gunzip: gunzipped,
});

const cannotAsk = (what: string, error: unknown): OperationalError =>
  new OperationalError('disk_error', 'degrade', `cannot ask for ${what}`, 'Look at dmesg.', error);

/** Free space and inodes, as an unprivileged process has them. Throws OperationalError. */
export const diskFigures = (directory: string): DiskFigures => {
  try {
    const { bavail, bsize, blocks, ffree, files } = statfsSync(directory);
    return {
      free_bytes: bavail * bsize,
      total_bytes: blocks * bsize,
      free_inodes: ffree,
      total_inodes: files,
    };
  } catch (error) {
    throw cannotAsk(`the free space of ${directory}`, error);
  }
};

/** Milliseconds since the epoch; undefined when there is no such file or it cannot be asked. */
export const modifiedMs = (directory: string, name: string): number | undefined => {
  try {
    return statSync(join(directory, name), { throwIfNoEntry: false })?.mtimeMs;
  } catch {
    return undefined;
  }
};
