/**
 * StoreFile and StoreFolder: the ports through which the store touches a disk, and their implementation over node:fs.
 *
 * The store is handed a StoreFolder and knows nothing else of the machine, so that a simulated disk (memory_folder) can
 * stop, tear, drop and fail every operation. Calls are synchronous but for fsync: reads and writes go to the page cache
 * and take microseconds, while fsync takes milliseconds and must not hold up the event loop.
 * Every failure is an OperationalError whose code is one of STORE_ERROR_CODES.
 */
import {
  closeSync,
  existsSync,
  fdatasync,
  fstatSync,
  fsync,
  linkSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { lockFile } from './lock.ts';

/** Two files are the same one if both numbers agree. */
export interface FileIdentity {
  readonly dev: number;
  readonly ino: number;
}

export interface StoreFile {
  /** Reads up to `length` bytes at `position` into `buffer` at `start`; returns how many; fewer only at the file's end. */
  readonly read: (buffer: Uint8Array, start: number, length: number, position: number) => number;
  /** Writes all bytes or throws; after a throw any prefix of them may be in the file. */
  readonly write: (bytes: Uint8Array, position: number) => void;
  readonly size: () => number;
  /** fdatasync: what was written, and the length, survive a power cut once this resolves. */
  readonly dataSync: () => Promise<void>;
  readonly close: () => void;
  readonly identity: () => FileIdentity;
}

/** `write` opens an existing file for reading and writing; `create` makes an empty one, mode 0600, emptying what was there. */
export type OpenMode = 'read' | 'write' | 'create';

/** Held until released, or until the process ends in any way. */
export interface StoreLock {
  readonly release: () => void;
}

export interface StoreFolder {
  /** For messages to people. */
  readonly path: string;
  readonly open: (name: string, mode: OpenMode) => StoreFile;
  readonly exists: (name: string) => boolean;
  /** Which file has the name now; undefined when none has. */
  readonly identity: (name: string) => FileIdentity | undefined;
  /** Replaces `to`. Survives a power cut only after sync(). */
  readonly rename: (from: string, to: string) => void;
  /** Gives the file a second name, which must be free; a file system without links throws. */
  readonly link: (from: string, to: string) => void;
  /** fsync of the directory: creations, renames and removals survive a power cut once this resolves. */
  readonly sync: () => Promise<void>;
  /** No error when there is none. */
  readonly remove: (name: string) => void;
  readonly list: () => readonly string[];
  /** What an unprivileged process can still write. */
  readonly freeBytes: () => number;
  /** Size of the file system, where it is known. */
  readonly totalBytes?: () => number;
  /** Takes the writer's lock or throws OperationalError `store_locked`. */
  readonly lock: (name: string, log: Log) => StoreLock;
}

export const STORE_ERROR_CODES = [
  'disk_full',
  'disk_error',
  'store_missing',
  'store_not_writable',
  'store_locked',
] as const;

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unknown';

/** Wraps what node:fs threw, so that what follows depends on our codes and not on errno names. */
const operational = (error: unknown, what: string): OperationalError => {
  const errno = codeOf(error);
  switch (errno) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new OperationalError(
        'disk_full',
        'degrade',
        `${what}: no space left (${errno})`,
        'Free disk space; gossipd goes on by itself as soon as it can write.',
        error,
      );
    case 'ENOENT':
      return new OperationalError(
        'store_missing',
        'stop',
        `${what}: not found`,
        'Check that the folder exists.',
        error,
      );
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'EISDIR':
    case 'ENOTDIR':
      return new OperationalError(
        'store_not_writable',
        'stop',
        `${what}: not permitted (${errno})`,
        'Check the owner and mode of the folder, and that its file system is mounted for writing.',
        error,
      );
  }
  return new OperationalError(
    'disk_error',
    'degrade',
    `${what}: ${errno}`,
    'Look at the kernel log (dmesg) for errors of the disk. No funds are in this file.',
    error,
  );
};

const attempt = <T>(what: string, act: () => T): T => {
  try {
    return act();
  } catch (error) {
    throw operational(error, what);
  }
};

/**
 * Repeats a write that may take fewer bytes than it is given, until all are taken.
 * A call that takes none is a full disk: some file systems report it so instead of ENOSPC.
 */
export const writeFully = (
  writeSome: (start: number, length: number, position: number) => number,
  length: number,
  position: number,
): void => {
  let done = 0;
  while (done < length) {
    const taken = writeSome(done, length - done, position + done);
    if (taken <= 0) throw Object.assign(new Error('the disk took no bytes'), { code: 'ENOSPC' });
    done += taken;
  }
};

/** Repeats a read until `length` bytes are there or the file ends. */
export const readFully = (
  readSome: (start: number, length: number, position: number) => number,
  start: number,
  length: number,
  position: number,
): number => {
  let done = 0;
  while (done < length) {
    const got = readSome(start + done, length - done, position + done);
    if (got <= 0) break;
    done += got;
  }
  return done;
};

const fdatasyncAsync = promisify(fdatasync);
const fsyncAsync = promisify(fsync);

const FLAGS: Readonly<Record<OpenMode, string>> = { read: 'r', write: 'r+', create: 'w+' };

const openFile = (path: string, mode: OpenMode): StoreFile => {
  const fd = attempt(`opening ${path}`, () => openSync(path, FLAGS[mode], 0o600));
  return {
    read: (buffer, start, length, position) =>
      attempt(`reading ${path}`, () =>
        readFully((from, count, where) => readSync(fd, buffer, from, count, where), start, length, position),
      ),
    write: (bytes, position) =>
      attempt(`writing ${path}`, () =>
        writeFully((from, count, where) => writeSync(fd, bytes, from, count, where), bytes.length, position),
      ),
    size: () => attempt(`reading the size of ${path}`, () => fstatSync(fd).size),
    dataSync: async () => {
      try {
        await fdatasyncAsync(fd);
      } catch (error) {
        throw operational(error, `syncing ${path}`);
      }
    },
    close: () => closeSync(fd),
    identity: () => {
      const { dev, ino } = fstatSync(fd);
      return { dev, ino };
    },
  };
};

/** What systems say that cannot sync a directory: Windows cannot even open one, some network file systems refuse the call. */
const CANNOT_SYNC_DIRECTORIES: readonly string[] = ['EISDIR', 'EPERM', 'EINVAL', 'ENOTSUP'];

const syncDirectory = async (path: string): Promise<void> => {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if (CANNOT_SYNC_DIRECTORIES.includes(codeOf(error))) return;
    throw operational(error, `opening ${path}`);
  }
  try {
    await fsyncAsync(fd);
  } catch (error) {
    if (!CANNOT_SYNC_DIRECTORIES.includes(codeOf(error))) throw operational(error, `syncing ${path}`);
  } finally {
    closeSync(fd);
  }
};

/** The files of an existing directory. */
export const nodeStoreFolder = (path: string): StoreFolder => ({
  path,
  open: (name, mode) => openFile(join(path, name), mode),
  exists: (name) => existsSync(join(path, name)),
  identity: (name) => {
    const found = attempt(`looking for ${join(path, name)}`, () =>
      statSync(join(path, name), { throwIfNoEntry: false }),
    );
    return found === undefined ? undefined : { dev: found.dev, ino: found.ino };
  },
  rename: (from, to) =>
    attempt(`renaming ${join(path, from)} to ${to}`, () => renameSync(join(path, from), join(path, to))),
  link: (from, to) =>
    attempt(`linking ${join(path, from)} to ${to}`, () => linkSync(join(path, from), join(path, to))),
  sync: () => syncDirectory(path),
  remove: (name) => attempt(`removing ${join(path, name)}`, () => rmSync(join(path, name), { force: true })),
  list: () => attempt(`listing ${path}`, () => readdirSync(path)),
  freeBytes: () =>
    attempt(`asking for the free space of ${path}`, () => {
      const { bavail, bsize } = statfsSync(path);
      return bavail * bsize;
    }),
  totalBytes: () =>
    attempt(`asking for the size of the disk under ${path}`, () => {
      const { blocks, bsize } = statfsSync(path);
      return blocks * bsize;
    }),
  lock: (name, log) => lockFile(join(path, name), log),
});
