/**
 * Upkeep: what a running store does for its own file, a little each second.
 *
 * It looks whether the name still leads to the file and whether its length is ours (file_watch), reads the file through
 * (scrub), keeps the index (indexing), watches the free space (free_space, reserve) and compacts when the dead outweigh the living. Each trouble is
 * declared once and ends with a successor of the file; attempts that fail are repeated after 1 s, 2 s, up to every 60 s, a
 * compaction that nobody is waiting for after a minute, up to every hour. Everything it does in a turn takes milliseconds.
 */
import { OperationalError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/meter.ts';
import type { Rng } from '../base/rng.ts';
import type { Clock } from '../base/time.ts';
import { type FileState, watchFile } from './file_watch.ts';
import { SpaceWatch } from './free_space.ts';
import type { StoreIndexer } from './indexing.ts';
import { Reserve } from './reserve.ts';
import { Scrub, scrubAllowance } from './scrub.ts';
import type { StoreFolder } from './store_file.ts';
import type { StoreWriter } from './writer.ts';

/** Less is not worth its writes to a flash card. */
export const COMPACT_DEAD_BYTES = 8 * 1024 * 1024;
const SPACE_EVERY_MS = 10_000;
const FAULT_RETRY_MS = 1_000;
const FAULT_RETRY_MOST_MS = 60_000;
const COMPACT_RETRY_MS = 60_000;
const COMPACT_RETRY_MOST_MS = 3_600_000;
/** A long gap between two turns (a suspended machine) is not made up for. */
const LONGEST_TURN_MS = 5_000;

export interface UpkeepPorts {
  readonly folder: StoreFolder;
  readonly name: string;
  readonly writer: StoreWriter;
  readonly indexer: StoreIndexer;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly meter: Meter;
}

/** The faults of a file that its replacement ends. */
const FAULTS: Readonly<
  Record<Exclude<FileState, 'ok'>, { readonly code: string; readonly what: string; readonly hint: string }>
> = {
  replaced: {
    code: 'store_replaced',
    what: 'another file has taken the place of the store',
    hint: 'It is kept under a name of its own, and the store is written anew. Stop what replaces it.',
  },
  missing: {
    code: 'store_vanished',
    what: 'the store file was removed',
    hint: 'It is written anew from what this process still holds. Stop what removes it.',
  },
  folder_missing: {
    code: 'store_vanished',
    what: 'the folder of the store is gone',
    hint: 'Put it back, or create it: the store is then written anew by itself.',
  },
  truncated: {
    code: 'store_truncated',
    what: 'somebody has cut the store file short',
    hint: 'What is left is written anew, and the rest fetched from peers. Stop what truncates it.',
  },
  grown: {
    code: 'store_foreign_bytes',
    what: 'somebody else has written to the store file',
    hint: 'The store is written anew without it. Run only one writer on a store.',
  },
};

export class Upkeep {
  readonly #ports: UpkeepPorts;
  readonly #scrub = new Scrub();
  readonly #space = new SpaceWatch();
  readonly #reserve: Reserve;
  #cancel: (() => void) | undefined;
  #lastMs = 0;
  #spaceAtMs = Number.NEGATIVE_INFINITY;
  #retryMs = 0;
  #retryAtMs = 0;
  #wantsCompaction = false;
  #compactRetryMs = 0;
  #compactAtMs = 0;
  #isUrgent = false;

  constructor(ports: UpkeepPorts) {
    this.#ports = ports;
    this.#reserve = new Reserve(ports.folder, ports.name, ports.rng);
  }

  start(everyMs: number): void {
    const { clock } = this.#ports;
    this.#lastMs = clock.monotonicMs();
    const next = (): void => {
      this.#cancel = clock.after(everyMs, () => {
        this.turn();
        if (this.#cancel !== undefined) next();
      });
    };
    next();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#reserve.close();
  }

  /** Writes the file anew without its deleted records, at the next turn. */
  compact(): void {
    this.#wantsCompaction = true;
    this.#compactAtMs = 0;
    if (!this.#ports.writer.isReplacing) this.#compactNow();
  }

  /** Something at this header position cannot be read. */
  damaged(position: number): void {
    const isNew = this.#ports.writer.declareFault(
      new OperationalError(
        'store_damaged',
        'degrade',
        `the store is damaged at offset ${position}`,
        'The sound records are written to a new file, and what was lost is fetched again. Test the disk and the memory.',
      ),
    );
    if (isNew) this.#retryAtMs = 0;
  }

  /** The file has a successor. */
  onSwitch(): void {
    this.#scrub.restart();
    this.#retryMs = 0;
    this.#compactRetryMs = 0;
    this.#wantsCompaction = false;
    this.#isUrgent = false;
  }

  turn(): void {
    const { writer, clock, log } = this.#ports;
    if (!writer.isOpen) return;
    const now = clock.monotonicMs();
    const elapsedMs = Math.min(LONGEST_TURN_MS, now - this.#lastMs);
    this.#lastMs = now;
    try {
      this.#watch();
      if (writer.fault === undefined && !writer.isReplacing) {
        this.#scrubSome(elapsedMs);
        this.#ports.indexer.turn(now);
      }
      if (now - this.#spaceAtMs >= SPACE_EVERY_MS) this.#watchSpace(now);
      this.#reserve.step();
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      // A folder that cannot be looked at is told by those who write to it.
      log.debug('upkeep', { reason: error.message });
    }
    if (writer.isReplacing) return;
    if (writer.fault !== undefined) {
      if (now >= this.#retryAtMs) this.#replaceFaulty(now);
    } else if (this.#wantsToCompact() && now >= this.#compactAtMs) this.#compactNow();
  }

  #watch(): void {
    const fault = this.#look();
    if (fault !== undefined && this.#ports.writer.declareFault(fault)) this.#retryAtMs = 0;
  }

  #look(): OperationalError | undefined {
    const { folder, name, writer } = this.#ports;
    try {
      const state = watchFile(folder, name, writer.file, writer.publishedBytes);
      if (state === 'ok' || (state === 'grown' && writer.file.size() <= writer.writtenTo)) return undefined;
      const { code, what, hint } = FAULTS[state];
      return new OperationalError(code, 'degrade', `${what} (${folder.path}/${name})`, hint);
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      // The open file may still take what we write, but nobody would find it at the next start.
      return new OperationalError(
        'store_unreachable',
        'degrade',
        `the store cannot be reached by its name (${error.message})`,
        'Give this user the folder back: the store is then written anew by itself.',
        error,
      );
    }
  }

  #scrubSome(elapsedMs: number): void {
    const { writer, meter } = this.#ports;
    const bad = this.#scrub.step(writer, scrubAllowance(writer.publishedBytes, elapsedMs));
    meter.gauge('gossipd_store_scrub_passes', this.#scrub.passes);
    if (bad !== undefined) this.damaged(bad);
  }

  #replaceFaulty(now: number): void {
    this.#retryMs = Math.min(FAULT_RETRY_MOST_MS, Math.max(FAULT_RETRY_MS, this.#retryMs * 2));
    this.#retryAtMs = now + this.#retryMs;
    const failed = (error: unknown): void => this.#failed('could not write the store anew', error);
    try {
      this.#ports.writer.replace(failed);
    } catch (error) {
      failed(error);
    }
  }

  #wantsToCompact(): boolean {
    const { writer } = this.#ports;
    const { deadBytes, publishedBytes } = writer;
    return (
      this.#wantsCompaction ||
      this.#isUrgent ||
      (deadBytes >= COMPACT_DEAD_BYTES && deadBytes * 2 >= publishedBytes)
    );
  }

  #compactNow(): void {
    const { writer, log, clock } = this.#ports;
    // Its room is what the reserve is for, also when nobody has measured it.
    if (this.#isUrgent) this.#reserve.release();
    this.#compactRetryMs = Math.min(
      COMPACT_RETRY_MOST_MS,
      Math.max(COMPACT_RETRY_MS, this.#compactRetryMs * 2),
    );
    this.#compactAtMs = clock.monotonicMs() + this.#compactRetryMs;
    log.info('compacting the store', { bytes: writer.publishedBytes, dead_bytes: writer.deadBytes });
    const failed = (error: unknown): void => this.#failed('could not compact the store', error);
    try {
      writer.replace(failed);
    } catch (error) {
      failed(error);
    }
  }

  #failed(what: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#ports.meter.count(
      'gossipd_store_rewrite_failures_total',
      error instanceof OperationalError ? error.code : 'bug',
    );
    this.#ports.log.info(`${what}; it is tried again`, { reason });
  }

  #watchSpace(now: number): void {
    const { folder, writer, log, meter } = this.#ports;
    this.#spaceAtMs = now;
    const freeBytes = folder.freeBytes();
    const storeBytes = writer.publishedBytes;
    const liveBytes = Math.max(0, storeBytes - writer.deadBytes);
    const totalBytes = folder.totalBytes?.();
    const { level, changed, advice, wantedBytes } = this.#space.observe({
      ...{ freeBytes, storeBytes, liveBytes },
      ...(totalBytes === undefined ? {} : { totalBytes }),
      reserveBytes: this.#reserve.bytes,
    });
    meter.gauge('gossipd_store_free_bytes', freeBytes);
    const hint = `Free disk space under ${folder.path}: ${wantedBytes} bytes are enough.`;
    if (changed && level !== 'ok')
      log.unusual(`the disk is running full: ${freeBytes} bytes are free`, { hint });
    if (level === 'ok') this.#reserve.ensure(liveBytes);
    this.#isUrgent = advice === 'compact';
    if (advice !== 'hold') {
      writer.hold(undefined);
      return;
    }
    if (this.#reserve.release() > 0) return;
    writer.hold(
      new OperationalError(
        'disk_nearly_full',
        'degrade',
        `only ${freeBytes} bytes are free: the store takes nothing more to the disk, and the map goes on from memory`,
        hint,
      ),
    );
  }
}
