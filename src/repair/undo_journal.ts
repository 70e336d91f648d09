/**
 * The undo journal: what a repair in place replaced, and the way back.
 *
 * in_place writes it before the store's name changes hands; `gossipd undo` hands it in. JSON beside the store: names, sizes and
 * SHA-256 of the file before and after. Undoing is one rename, so that a crash leaves either state whole, and can be repeated:
 * what is found is judged by content, not by what should have happened. The file that is displaced keeps a name.
 * A journal is hostile input: names in it are names in its own folder or it is refused.
 */
import { OperationalError } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import { sha256Stream } from '../crypto/sha256_stream.ts';
import type { StoreFolder } from '../store/store_file.ts';
import { timeInName } from './backup_manifest.ts';
import { PIECE_BYTES, type Task } from './task.ts';
import { removeQuietly, secondName } from './temporary_file.ts';

const MAX_JOURNAL_BYTES = 64 * 1024;
const JOURNAL_FORMAT = 1;

export interface FileContent {
  readonly bytes: number;
  /** Lowercase hex. */
  readonly sha256: string;
}

export interface JournalFile extends FileContent {
  /** Of the store format. */
  readonly version: number;
}

export interface UndoJournal {
  readonly gossipd_undo: 1;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly tool_version: string;
  /** Where the store was; the journal's own folder counts. */
  readonly folder: string;
  readonly name: string;
  /** Name of the file as it was before. */
  readonly backup: string;
  readonly before: JournalFile;
  readonly after: JournalFile;
}

/** Size and SHA-256 of a file. Throws what the disk throws. */
export const hashFile = async (
  folder: StoreFolder,
  name: string,
  task: Task,
): Promise<FileContent | 'cancelled'> => {
  const file = folder.open(name, 'read');
  try {
    const hash = sha256Stream();
    const bytes = file.size();
    const buffer = new Uint8Array(Math.min(PIECE_BYTES, Math.max(1, bytes)));
    let at = 0;
    while (at < bytes) {
      const got = file.read(buffer, 0, Math.min(buffer.length, bytes - at), at);
      if (got === 0) break;
      hash.update(buffer.subarray(0, got));
      at += got;
      task.progress('checking the copy', at, bytes);
      await task.breathe(got);
      if (task.cancelled() !== undefined) return 'cancelled';
    }
    return { bytes: at, sha256: hash.hex() };
  } finally {
    file.close();
  }
};

/** Durable when it resolves, together with every change of names in the folder before it. */
export const writeJournal = async (
  folder: StoreFolder,
  name: string,
  journal: UndoJournal,
): Promise<void> => {
  const file = folder.open(name, 'create');
  try {
    file.write(new TextEncoder().encode(`${JSON.stringify(journal, null, 2)}\n`), 0);
    await file.dataSync();
  } finally {
    file.close();
  }
  await folder.sync();
};

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;
const isText = (value: unknown): value is string => typeof value === 'string';
/** A name in the folder itself: never a way out of it. */
const isFileName = (value: unknown): boolean =>
  isText(value) && value !== '' && value !== '.' && value !== '..' && !/[/\\\0]/.test(value);
const isJournalFile = (value: unknown): boolean =>
  isObject(value) &&
  Number.isSafeInteger(value['bytes']) &&
  /^[0-9a-f]{64}$/.test(String(value['sha256'])) &&
  Number.isSafeInteger(value['version']);

const isJournal = (value: unknown): value is UndoJournal =>
  isObject(value) &&
  value['gossipd_undo'] === JOURNAL_FORMAT &&
  isText(value['time']) &&
  isFileName(value['name']) &&
  isFileName(value['backup']) &&
  value['name'] !== value['backup'] &&
  isJournalFile(value['before']) &&
  isJournalFile(value['after']);

const notAJournal = (path: string): OperationalError =>
  new OperationalError(
    'bad_argument',
    'stop',
    `${path} is no undo journal`,
    'Name the .undo-….json file that "gossipd repair --in-place" wrote.',
  );

/** Throws `bad_argument` for what is no journal, and what the disk throws. */
export const readJournal = (folder: StoreFolder, name: string): UndoJournal => {
  const path = `${folder.path}/${name}`;
  const file = folder.open(name, 'read');
  try {
    const size = file.size();
    if (size > MAX_JOURNAL_BYTES) throw notAJournal(path);
    const bytes = new Uint8Array(size);
    const got = file.read(bytes, 0, size, 0);
    const value: unknown = parse(new TextDecoder().decode(bytes.subarray(0, got)));
    if (!isJournal(value)) throw notAJournal(path);
    return value;
  } finally {
    file.close();
  }
};

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

export interface Undone {
  /** `restored` by this call; `already` the old file when it began. */
  readonly outcome: 'restored' | 'already' | 'cancelled';
  /** Name of the file that was displaced; undefined when there was none. */
  readonly displaced?: string;
}

const changed = (path: string): OperationalError =>
  new OperationalError(
    'store_changed',
    'stop',
    `${path} is not what the repair wrote: something has written to it since`,
    'Nothing was changed. Add --force to restore the old file all the same; the present one is kept under another name.',
  );

const backupUnusable = (path: string, what: string): OperationalError =>
  new OperationalError(
    'backup_damaged',
    'stop',
    `${path} ${what}, so the old file cannot be restored bit for bit`,
    'Nothing was changed. Look at the disk: dmesg tells whether it reports errors.',
  );

/**
 * Gives the store its old content back. Throws, with nothing changed: `store_changed` unless `force`, `backup_damaged`, and
 * what the disk throws.
 */
export const undoRepair = async (
  folder: StoreFolder,
  journal: UndoJournal,
  force: boolean,
  clock: Clock,
  task: Task,
): Promise<Undone> => {
  const { name, backup, before, after } = journal;
  const path = `${folder.path}/${name}`;
  const present = folder.exists(name) ? await hashFile(folder, name, task) : undefined;
  if (present === 'cancelled') return { outcome: 'cancelled' };
  if (present?.sha256 === before.sha256) return { outcome: 'already' };
  if (!folder.exists(backup)) throw backupUnusable(`${folder.path}/${backup}`, 'is not there any more');
  const old = await hashFile(folder, backup, task);
  if (old === 'cancelled') return { outcome: 'cancelled' };
  if (old.sha256 !== before.sha256)
    throw backupUnusable(`${folder.path}/${backup}`, 'is not what the repair set aside');
  if (present !== undefined && present.sha256 !== after.sha256 && !force) throw changed(path);
  const displaced = present === undefined ? undefined : freeName(folder, name, clock);
  try {
    if (displaced !== undefined) {
      await secondName(folder, name, displaced);
      // Durable before the first name changes hands.
      await folder.sync();
    }
    folder.rename(backup, name);
  } catch (error) {
    if (displaced !== undefined) removeQuietly(folder, displaced);
    throw error;
  }
  await folder.sync();
  return { outcome: 'restored', ...(displaced === undefined ? {} : { displaced }) };
};

const freeName = (folder: StoreFolder, name: string, clock: Clock): string => {
  const first = `${name}.undone-${timeInName(clock)}`;
  let free = first;
  for (let number = 1; folder.exists(free); number++) free = `${first}-${number}`;
  return free;
};
