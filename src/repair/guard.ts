/**
 * Guard: watches the store of a node that this program does not run, and never opens it for writing.
 *
 * tools/guard hands in the folder, the disk's figures, the clock and where events go, and calls round() at its own interval. A
 * round reads what is new in the file, everything once an hour, and judges: damage, an end that stays incomplete, end
 * markers, dead weight, growth, free space, a store that CLN has thrown away, a file that vanished or shrank. It opens the file
 * for the round only, so that a repair between two rounds finds nobody there. When the store has changed it has a backup taken.
 * A disk that refuses becomes an alert, never an error.
 */
import { OperationalError } from '../base/errors.ts';
import type { Clock } from '../base/time.ts';
import type { FileIdentity, StoreFile, StoreFolder } from '../store/store_file.ts';
import { detectFormat } from '../store/versions.ts';
import type { BackupOutcome } from './backup.ts';
import type { BackupManifest } from './backup_manifest.ts';
import { type DiskFigures, judgeContent, judgeDisk, type StoreFacts } from './guard_judge.ts';
import { StoreScan } from './guard_scan.ts';
import {
  AlertBoard,
  type AlertContent,
  type AlertEvent,
  type AlertId,
  GrowthWindow,
  secondsUntilFull,
} from './guard_state.ts';
import { type GuardStatus, statusOf } from './guard_status.ts';
import type { Task } from './task.ts';

export type GuardEvent =
  | AlertEvent
  | {
      readonly event: 'replaced';
      readonly time: string;
      readonly bytes_before: number;
      readonly bytes: number;
    }
  | { readonly event: 'backup'; readonly time: string; readonly manifest: BackupManifest };

export interface GuardBackups {
  /** The folder, for messages to people. */
  readonly path: string;
  readonly everyMs: number;
  readonly newestGood: () => BackupManifest | undefined;
  readonly take: () => Promise<BackupOutcome | 'cancelled'>;
}

export interface GuardWorld {
  readonly folder: StoreFolder;
  readonly name: string;
  /** For messages to people. */
  readonly path: string;
  readonly clock: Clock;
  /** A task for one pass over the file, with its own budget of input and output. */
  readonly newTask: () => Task;
  /** Throws OperationalError. */
  readonly disk: () => DiskFigures;
  /** Milliseconds since the epoch of the last change; undefined when there is no such file. */
  readonly modifiedMs: (name: string) => number | undefined;
  readonly backups: GuardBackups | undefined;
  readonly onEvent: (event: GuardEvent) => void;
}

export const FULL_PASS_MS = 60 * 60 * 1000;
/** Rounds that an end may stay incomplete before it is an alert. */
export const TAIL_ROUNDS = 2;
/** A `.corrupt` file that was there before is worth an alert when it is younger. */
const CORRUPT_NEWS_MS = 7 * 24 * 60 * 60 * 1000;

const same = (left: FileIdentity | undefined, right: FileIdentity | undefined): boolean =>
  left?.ino === right?.ino && left?.dev === right?.dev;

export class Guard {
  readonly #world: GuardWorld;
  readonly #board = new AlertBoard();
  readonly #growth = new GrowthWindow();
  readonly #free = new GrowthWindow();
  #rounds = 0;
  #identity: FileIdentity | undefined;
  #scan: StoreScan | undefined;
  #version: number | undefined;
  #bytes = 0;
  #fullPassAt: number | undefined;
  #tailAt: number | undefined;
  #tailRounds = 0;
  #truncatedFrom: number | undefined;
  /** Most channels of a sound file so far: what the store should hold about. */
  #bestChannels = 0;
  #disk: DiskFigures | undefined;
  /** Identity of the `.corrupt` file at the start, when it was old news; null before the first round. */
  #oldCorrupt: FileIdentity | undefined | null = null;
  #backedUp: { readonly identity: FileIdentity | undefined; readonly bytes: number } | undefined;
  #backupTriedAt: number | undefined;
  #newest: BackupManifest | undefined;

  constructor(world: GuardWorld) {
    this.#world = world;
  }

  get board(): AlertBoard {
    return this.#board;
  }

  /** @param patient false for a single round: an incomplete end is judged by the pauses of that round alone */
  async round(patient = true): Promise<void> {
    this.#rounds++;
    if (this.#rounds === 1) this.#learnFromBackups();
    await this.#lookAtFile(patient);
    this.#lookAtDisk();
    this.#lookForCorrupt();
    await this.#backUpWhenDue();
  }

  status(): GuardStatus {
    const { clock, path } = this.#world;
    return statusOf({
      nowMs: clock.nowMs(),
      path,
      rounds: this.#rounds,
      board: this.#board,
      scan: this.#scan,
      version: this.#version,
      bytes: this.#bytes,
      rate: this.#growth.rate,
      disk: this.#disk,
      secondsUntilFull: this.#secondsUntilFull(),
      newest: this.#newest,
    });
  }

  get #newestPath(): string | undefined {
    return this.#newest === undefined ? undefined : `${this.#world.backups?.path}/${this.#newest.file}`;
  }

  #alert(id: AlertId, content: AlertContent | undefined): void {
    const event = this.#board.set(id, content, this.#world.clock.nowMs());
    if (event !== undefined) this.#world.onEvent(event);
  }

  #learnFromBackups(): void {
    try {
      this.#newest = this.#world.backups?.newestGood();
    } catch (error) {
      this.#backupFailed(error);
    }
    this.#bestChannels = this.#newest?.channels ?? 0;
  }

  async #lookAtFile(patient: boolean): Promise<void> {
    const { folder, name, path } = this.#world;
    let file: StoreFile | undefined;
    try {
      if (folder.identity(name) === undefined) {
        this.#alert('missing', {
          severity: 'critical',
          message: `${path} is gone.`,
          hint:
            this.#newestPath === undefined
              ? 'Restart lightningd: it makes a new one and fetches the map from peers.'
              : `Stop lightningd, then: gossipd restore ${this.#newestPath} --to ${path}`,
        });
        return;
      }
      file = folder.open(name, 'read');
      await this.#readFile(file, patient);
      this.#alert('unreadable', undefined);
      this.#alert('missing', undefined);
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      this.#alert('unreadable', {
        severity: 'critical',
        message: `${path} cannot be read: ${error.message}.`,
        hint: error.hint,
      });
    } finally {
      file?.close();
    }
  }

  async #readFile(file: StoreFile, patient: boolean): Promise<void> {
    const { clock, path } = this.#world;
    const identity = file.identity();
    const bytes = file.size();
    this.#noticeChange(identity, bytes);
    this.#bytes = bytes;
    this.#growth.add(clock.monotonicMs(), bytes);
    if (this.#scan === undefined) {
      const { format } = detectFormat(file);
      this.#alert(
        'not_a_store',
        format !== undefined
          ? undefined
          : {
              severity: 'critical',
              message: bytes === 0 ? `${path} is empty.` : `${path} holds no record of any known version.`,
              hint: `gossipd check ${path}`,
            },
      );
      if (format === undefined) return;
      this.#version = format.version;
      this.#scan = new StoreScan(format);
      this.#fullPassAt = undefined;
    }
    const now = clock.monotonicMs();
    const full = this.#fullPassAt === undefined || now - this.#fullPassAt >= FULL_PASS_MS;
    if (!(await this.#scan.pass(file, full, clock, this.#world.newTask()))) return;
    if (full) this.#fullPassAt = now;
    this.#countTail(patient);
    this.#judge(this.#scan, identity, full);
  }

  /** Another file under the name, or the same one shorter: what was read of it is void. */
  #noticeChange(identity: FileIdentity, bytes: number): void {
    const { clock, path } = this.#world;
    const before = this.#identity;
    if (before !== undefined && !same(before, identity)) {
      const time = new Date(clock.nowMs()).toISOString();
      this.#world.onEvent({ event: 'replaced', time, bytes_before: this.#bytes, bytes });
      this.#forgetFile();
      this.#truncatedFrom = undefined;
    } else if (before !== undefined && bytes < this.#bytes) {
      this.#truncatedFrom = Math.max(this.#truncatedFrom ?? 0, this.#bytes);
      this.#forgetFile();
    } else if (this.#truncatedFrom !== undefined && bytes >= this.#truncatedFrom)
      this.#truncatedFrom = undefined;
    this.#identity = identity;
    this.#alert(
      'truncated',
      this.#truncatedFrom === undefined
        ? undefined
        : {
            severity: 'critical',
            message: `${path} has been cut from ${this.#truncatedFrom} to ${bytes} bytes while it is in use.`,
            hint: `Restart lightningd before a reader touches what is gone, then: gossipd check ${path}`,
          },
    );
  }

  #forgetFile(): void {
    this.#scan = undefined;
    this.#tailAt = undefined;
    this.#tailRounds = 0;
    this.#growth.reset();
  }

  #countTail(patient: boolean): void {
    const tail = this.#scan?.tail;
    this.#tailRounds = tail === undefined ? 0 : tail === this.#tailAt ? this.#tailRounds + 1 : 1;
    this.#tailAt = tail;
    if (tail !== undefined && !patient) this.#tailRounds = TAIL_ROUNDS + 1;
  }

  #judge(scan: StoreScan, identity: FileIdentity, full: boolean): void {
    const { folder, name, path } = this.#world;
    const facts: StoreFacts = {
      path,
      version: this.#version ?? 0,
      bytes: this.#bytes,
      scan,
      full,
      stuckAt: this.#tailRounds > TAIL_ROUNDS ? this.#tailAt : undefined,
      // A file with an end marker that lost its name meanwhile is as it should be.
      hasName: same(folder.identity(name), identity),
      bestChannels: this.#bestChannels,
      newestBackup: this.#newestPath,
    };
    for (const [id, content] of judgeContent(facts, (id) => this.#board.isRaised(id)))
      this.#alert(id, content);
    if (scan.damagedRanges === 0) this.#bestChannels = Math.max(this.#bestChannels, scan.channels);
  }

  #secondsUntilFull(): number | undefined {
    return this.#disk === undefined
      ? undefined
      : secondsUntilFull(this.#disk.free_bytes, this.#growth.rate, this.#free.rate);
  }

  #lookAtDisk(): void {
    try {
      this.#disk = this.#world.disk();
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      this.#disk = undefined;
      return;
    }
    this.#free.add(this.#world.clock.monotonicMs(), this.#disk.free_bytes);
    const facts = {
      path: this.#world.folder.path,
      storeBytes: this.#bytes,
      disk: this.#disk,
      secondsUntilFull: this.#secondsUntilFull(),
    };
    for (const [id, content] of judgeDisk(facts, (id) => this.#board.isRaised(id))) this.#alert(id, content);
  }

  #lookForCorrupt(): void {
    const { folder, name, path, clock, modifiedMs } = this.#world;
    const corrupt = `${name}.corrupt`;
    let identity: FileIdentity | undefined;
    try {
      identity = folder.identity(corrupt);
    } catch (error) {
      // The disk's refusal is an alert of its own.
      if (error instanceof OperationalError) return;
      throw error;
    }
    if (this.#oldCorrupt === null) {
      const modified = modifiedMs(corrupt);
      const isNews = modified !== undefined && clock.nowMs() - modified < CORRUPT_NEWS_MS;
      this.#oldCorrupt = isNews ? undefined : identity;
    }
    const isNew = identity !== undefined && !same(identity, this.#oldCorrupt ?? undefined);
    this.#alert(
      'corrupt_file',
      isNew
        ? {
            severity: 'critical',
            message: `lightningd has thrown its map away: the old store is ${path}.corrupt.`,
            hint: `gossipd repair ${path}.corrupt --output ${path}.repaired`,
          }
        : undefined,
    );
  }

  #backupFailed(error: unknown): void {
    if (!(error instanceof OperationalError)) throw error;
    this.#alert('backup_failed', {
      severity: 'warning',
      message: `No backup could be taken: ${error.message}.`,
      hint: error.hint,
    });
  }

  #backupIsDue(): boolean {
    const { backups, clock } = this.#world;
    if (backups === undefined || this.#identity === undefined || this.#board.isRaised('missing'))
      return false;
    const done = this.#backedUp;
    if (done !== undefined && same(done.identity, this.#identity) && done.bytes === this.#bytes) return false;
    if (this.#backupTriedAt !== undefined)
      return clock.monotonicMs() - this.#backupTriedAt >= backups.everyMs;
    const newest = this.#newest === undefined ? Number.NaN : Date.parse(this.#newest.time);
    // A time in the future is a clock that was set back.
    const age = clock.nowMs() - newest;
    return !(age >= 0 && age < backups.everyMs);
  }

  async #backUpWhenDue(): Promise<void> {
    const { backups, clock, onEvent } = this.#world;
    if (backups === undefined || !this.#backupIsDue()) return;
    this.#backupTriedAt = clock.monotonicMs();
    const seen = { identity: this.#identity, bytes: this.#bytes };
    try {
      const outcome = await backups.take();
      if (outcome === 'cancelled') return;
      const { manifest } = outcome;
      this.#backedUp = seen;
      onEvent({ event: 'backup', time: manifest.time, manifest });
      this.#alert('backup_failed', undefined);
      this.#alert(
        'backup_suspect',
        manifest.suspect === null
          ? undefined
          : {
              severity: 'warning',
              message: `The backup ${manifest.file} is suspect: ${manifest.suspect}.`,
              hint: `gossipd check ${this.#world.path}`,
            },
      );
      this.#newest = backups.newestGood();
    } catch (error) {
      this.#backupFailed(error);
    }
  }
}
