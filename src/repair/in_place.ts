/**
 * Giving a finished file its name: beside the damaged store, or in its place with a way back.
 *
 * repair_store hands in a file that is complete, durable and checked under a temporary name. `publishOutput` never takes a
 * name that is in use. `publishInPlace` first gives the old file a second name (.bak) and writes the undo journal, makes both
 * durable, and only then lets the rename happen: at every instant the name leads to the whole old file or to the whole new
 * one, and the old one is never written to, cut or removed. Whatever throws leaves the folder as it was.
 */
import { OperationalError } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import type { StoreFolder } from '../store/store_file.ts';
import { timeInName } from './backup_manifest.ts';
import type { Task } from './task.ts';
import { removeQuietly, secondName } from './temporary_file.ts';
import { hashFile, type UndoJournal, writeJournal } from './undo_journal.ts';

export const outputExists = (path: string): OperationalError =>
  new OperationalError(
    'bad_argument',
    'stop',
    `${path} exists already and was left as it is`,
    'Name another file, or add --force to replace it.',
  );

/**
 * Gives the file its name. Throws `bad_argument` when the name is taken and `force` is not given, and what the disk throws;
 * without `force` nothing is left behind then.
 */
export const publishOutput = async (
  folder: StoreFolder,
  temporary: string,
  name: string,
  force: boolean,
): Promise<void> => {
  if (force) {
    folder.rename(temporary, name);
    await folder.sync();
    return;
  }
  const before = folder.identity(temporary);
  try {
    // Fails when the name is taken, also by a process that takes it in this instant.
    folder.link(temporary, name);
    folder.remove(temporary);
    await folder.sync();
  } catch (error) {
    const here = folder.identity(name);
    if (here !== undefined && here.ino === before?.ino && here.dev === before.dev) {
      removeQuietly(folder, name);
      throw error;
    }
    if (here !== undefined) throw outputExists(`${folder.path}/${name}`);
    await renameAndSync(folder, temporary, name);
  }
};

/** Where there are no links. */
const renameAndSync = async (folder: StoreFolder, temporary: string, name: string): Promise<void> => {
  folder.rename(temporary, name);
  try {
    await folder.sync();
  } catch (error) {
    removeQuietly(folder, name);
    throw error;
  }
};

export interface InPlaceJob {
  readonly folder: StoreFolder;
  readonly name: string;
  readonly temporary: string;
  readonly versionFrom: number;
  readonly versionTo: number;
  readonly toolVersion: string;
  readonly clock: Clock;
  readonly task: Task;
  /** Called with the name of the journal. */
  readonly adopt?: (name: string) => void;
  /** Asked in the last instant before the rename: why the store must not be replaced, or undefined. */
  readonly objection: () => OperationalError | undefined;
}

export interface InPlaceResult {
  readonly backup: string;
  readonly journal: string;
}

/** Throws what the disk throws, and what `objection` returns; the folder is then as it was. */
export const publishInPlace = async (job: InPlaceJob): Promise<InPlaceResult | 'cancelled'> => {
  const { folder, name, temporary, clock, task } = job;
  const { backup, journal } = freeNames(folder, name, clock);
  let renamed = false;
  try {
    await secondName(folder, name, backup);
    const content = await describe(job, backup);
    const cancelled = content === 'cancelled' || task.cancelled() !== undefined;
    const objection = cancelled ? undefined : job.objection();
    if (objection !== undefined) throw objection;
    if (content === 'cancelled' || cancelled) {
      folder.remove(backup);
      return 'cancelled';
    }
    await writeJournal(folder, journal, content);
    job.adopt?.(journal);
    folder.rename(temporary, name);
    renamed = true;
    await folder.sync();
    return { backup, journal };
  } catch (error) {
    // The backup is the old file itself: giving it its name back undoes the rename.
    if (renamed) renameQuietly(folder, backup, name);
    else removeQuietly(folder, backup);
    removeQuietly(folder, journal);
    throw error;
  }
};

const freeNames = (folder: StoreFolder, name: string, clock: Clock): InPlaceResult => {
  const time = timeInName(clock);
  for (let number = 0; ; number++) {
    const ending = number === 0 ? time : `${time}-${number}`;
    const [backup, journal] = [`${name}.bak-${ending}`, `${name}.undo-${ending}.json`];
    if (!folder.exists(backup) && !folder.exists(journal)) return { backup, journal };
  }
};

/** What the journal says, from what lies on the disk and not from what was meant to be written. */
const describe = async (job: InPlaceJob, backup: string): Promise<UndoJournal | 'cancelled'> => {
  const { folder, name, temporary, clock, task } = job;
  const before = await hashFile(folder, backup, task);
  const after = before === 'cancelled' ? before : await hashFile(folder, temporary, task);
  if (before === 'cancelled' || after === 'cancelled') return 'cancelled';
  return {
    gossipd_undo: 1,
    time: new Date(clock.nowMs()).toISOString(),
    tool_version: job.toolVersion,
    folder: folder.path,
    name,
    backup,
    before: { ...before, version: job.versionFrom },
    after: { ...after, version: job.versionTo },
  };
};

const renameQuietly = (folder: StoreFolder, from: string, to: string): void => {
  try {
    folder.rename(from, to);
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
  }
};
