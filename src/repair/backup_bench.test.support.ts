/** Two simulated disks, a clock that moves by itself when somebody waits, and what a backup or restore is given. */
import { gunzipSync, gzipSync } from 'node:zlib';
import { concatBytes } from '../base/bytes.ts';
import { OperationalError } from '../base/errors.ts';
import { seededRng } from '../base/rng.ts';
import { type Clock, ManualClock } from '../base/time.ts';
import { goodStore } from '../store/damaged_stores.test.support.ts';
import { MemoryFolder } from '../store/memory_folder.test.support.ts';
import type { StoreFile, StoreFolder } from '../store/store_file.ts';
import { type BackupJob, type BackupMachine, type BackupOutcome, backUp } from './backup.ts';
import type { RestoreJob } from './restore.ts';
import { quietTask } from './task.ts';

/** Moves on to what is waited for at once, so that a pause takes no time. */
export class HastyClock implements Clock {
  readonly manual = new ManualClock();
  readonly nowMs = this.manual.nowMs;
  readonly monotonicMs = this.manual.monotonicMs;
  /** Called whenever somebody starts to wait. */
  onWait: () => void = () => {};
  readonly after = (delayMs: number, fire: () => void): (() => void) => {
    let cancelled = false;
    queueMicrotask(() => {
      if (cancelled) return;
      this.onWait();
      this.manual.advance(delayMs);
      fire();
    });
    return () => {
      cancelled = true;
    };
  };
}

export const testMachine: BackupMachine = {
  gzip: async (bytes) => new Uint8Array(gzipSync(bytes)),
  gunzip: async function* (pieces) {
    const gathered: Uint8Array[] = [];
    for await (const piece of pieces) gathered.push(piece.slice());
    try {
      yield new Uint8Array(gunzipSync(concatBytes(...gathered)));
    } catch (error) {
      throw new OperationalError('backup_damaged', 'stop', 'cannot be unpacked', 'Use another.', error);
    }
  },
};

/** The folder, with something happening in front of every read of the named file. */
export const watched = (
  folder: MemoryFolder,
  name: string,
  beforeRead: (file: StoreFile, position: number) => void,
): StoreFolder => ({
  path: folder.path,
  open: (opened, mode) => {
    const file = folder.open(opened, mode);
    if (opened !== name || mode !== 'read') return file;
    return {
      ...file,
      read: (buffer, start, length, position) => {
        beforeRead(file, position);
        return file.read(buffer, start, length, position);
      },
    };
  },
  exists: folder.exists,
  identity: folder.identity,
  rename: folder.rename,
  link: folder.link,
  sync: folder.sync,
  remove: folder.remove,
  list: folder.list,
  freeBytes: folder.freeBytes,
  lock: folder.lock,
});

export const STORE = 'gossip_store';

/** A disk with a sound store, or with these bytes. */
export const diskWith = (bytes: Uint8Array = goodStore(16, 6).bytes): MemoryFolder => {
  const folder = new MemoryFolder();
  folder.place(STORE, bytes);
  return folder;
};

export const jobOn = (
  source: StoreFolder,
  to: MemoryFolder,
  clock: Clock = new HastyClock(),
  changes: Partial<BackupJob> = {},
): BackupJob => ({
  source: { folder: source, name: STORE, path: `/ln/${STORE}` },
  to,
  keep: 5,
  includePrivate: false,
  compress: false,
  clock,
  task: quietTask,
  machine: testMachine,
  ...changes,
});

/** A backup that is not cancelled. */
export const taken = async (job: BackupJob): Promise<BackupOutcome> => {
  const outcome = await backUp(job);
  if (outcome === 'cancelled') throw new Error('cancelled');
  return outcome;
};

export const restoreJob = (
  from: MemoryFolder,
  to: MemoryFolder,
  changes: Partial<RestoreJob> = {},
): RestoreJob => ({
  from,
  file: undefined,
  to: { folder: to, name: STORE },
  version: undefined,
  requireUnused: () => {},
  clock: new HastyClock(),
  rng: seededRng(7),
  task: quietTask,
  machine: testMachine,
  ...changes,
});
