/**
 * Succession: the open store's file is replaced by a new one that holds what is live, while the store goes on.
 *
 * gossip_store starts one to compact, to leave damage behind, or because the file is not the one under the name any more. It
 * copies in pieces of PIECE_BYTES, each in a turn of its own, while records are appended to the old file; then, in one
 * last stretch during which nothing is published, the rest. The order on disk: damaged ranges to the quarantine, new file
 * durable, rename; the store switches in the same turn; directory durable; end marker into the old file.
 * Flags that change meanwhile stay in memory (DeferredMarks) and are moved to the new file. Nothing here changes the old
 * file before the end marker: a failure or an abort at any point leaves the store as it was, without NAME.tmp.
 */
import { assert } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Clock } from '../base/time.ts';
import type { StoreOffset } from '../wire/store_record.ts';
import type { OffsetMap } from './offset_map.ts';
import { type QuarantineRange, quarantine, timeInName } from './quarantine.ts';
import { Rewrite } from './rewrite.ts';
import { GAP_FINDINGS, type Gap } from './salvage_reader.ts';
import type { StoreFile, StoreFolder } from './store_file.ts';
import { NEWEST_KNOWN_VERSION, type StoreFormat, storeFormat, type WritableVersion } from './versions.ts';

/** Copying this much takes some 10 ms. */
const PIECE_BYTES = 2 * 1024 * 1024;
/** With less than this left, the last stretch begins. */
const LAST_STRETCH_BYTES = 1024 * 1024;

/** What a succession is told of the store. */
export interface SuccessionSource {
  readonly folder: StoreFolder;
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly file: StoreFile;
  readonly format: StoreFormat;
  /** Header position of the first record. */
  readonly start: number;
  /** How far the file is published at this moment. */
  readonly publishedBytes: () => number;
  /** How far to copy: what is published, or all of a file at whose end the load found damage. */
  readonly copyTo: () => number;
  /** How far our own writes went: what lies behind it was written by someone else. */
  readonly writtenTo: () => number;
  /** Deleted, though the file does not say so yet. */
  readonly isDead: (offset: StoreOffset) => boolean;
  /** Puts into the new file what of its records changed in memory only. */
  readonly amend: (file: StoreFile, translate: (offset: StoreOffset) => StoreOffset) => void;
  /** Tombstones from here on are kept: some reader has not seen them. */
  readonly keepTombstonesFrom: number;
}

export interface Successor {
  readonly file: StoreFile;
  readonly size: number;
  readonly format: StoreFormat;
  readonly uuid: Uint8Array;
  readonly map: OffsetMap;
  /** Makes the name durable, then tells readers of the old file and closes it. */
  readonly finish: () => Promise<void>;
  /** Damaged ranges of the old file, which are not in the new one. */
  readonly gaps: readonly Gap[];
  /** Name of the quarantine's index; undefined without damage, or when the disk refused it. */
  readonly quarantined: string | undefined;
}

export class Succession {
  readonly #source: SuccessionSource;
  readonly #target: { readonly version: WritableVersion; readonly uuid: Uint8Array };
  readonly #rewrite: Rewrite;
  #over = false;

  /** Throws what creating NAME.tmp throws. @param target its uuid is 32 fresh bytes */
  constructor(
    source: SuccessionSource,
    target: { readonly version: WritableVersion; readonly uuid: Uint8Array },
  ) {
    this.#source = source;
    this.#target = target;
    const { folder, name, file, format, start, isDead, keepTombstonesFrom } = source;
    this.#rewrite = Rewrite.begin(folder, name, { file, format, start, isDead, keepTombstonesFrom }, target);
  }

  /** Where copying is in the old file. */
  get readTo(): number {
    return this.#rewrite.readTo;
  }

  /** Copies a piece; true when only the last stretch is left. Throws what the disk throws; abort() then. */
  step(): boolean {
    const end = this.#source.copyTo();
    return this.#rewrite.step(end, PIECE_BYTES) || end - this.#rewrite.readTo < LAST_STRETCH_BYTES;
  }

  /** Makes what is copied so far durable, so that the last stretch is short. */
  async syncAhead(): Promise<void> {
    await this.#rewrite.sync();
  }

  /**
   * The last stretch. Nothing may be published until it resolves; `switchTo` is called in the turn of the rename.
   * Rejects with what the disk throws; the old file then is what it was.
   */
  async complete(switchTo: (successor: Successor) => void): Promise<void> {
    const end = this.#source.copyTo();
    while (!this.#rewrite.step(end, Number.MAX_SAFE_INTEGER));
    const quarantined = await this.#quarantine();
    const { map, gaps } = this.#rewrite;
    this.#rewrite.amend((file) => this.#source.amend(file, (offset) => map.translate(offset)));
    await this.#rewrite.sync();
    this.#keepOther();
    const format = storeFormat(this.#target.version);
    assert(format !== undefined, 'a version that can be written has a format');
    const { file, size, finish } = this.#rewrite.commit();
    this.#over = true;
    map.setTail(this.#source.publishedBytes(), size);
    switchTo({ file, size, format, uuid: this.#target.uuid, map, finish, gaps, quarantined });
  }

  /** Removes what was begun. Nothing after completion. */
  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#rewrite.abort();
  }

  /** Damaged ranges, and what someone else wrote behind our end. */
  #ranges(): QuarantineRange[] {
    const ranges = this.#rewrite.gaps.map(quarantineRange);
    const foreign = this.#source.writtenTo();
    const length = this.#source.file.size() - foreign;
    if (length > 0)
      ranges.push({ offset: foreign, length, finding: 'GS-GARBAGE', reason: 'written by another process' });
    return ranges;
  }

  async #quarantine(): Promise<string | undefined> {
    const { folder, name, file, clock, log } = this.#source;
    const ranges = this.#ranges();
    if (ranges.length === 0) return undefined;
    try {
      return await quarantine(folder, name, file, ranges, clock);
    } catch (error) {
      log.unusual('could not keep a copy of the damaged bytes; going on without it', {
        reason: error instanceof Error ? error.message : String(error),
      });
      return undefined;
    }
  }

  /** A file that is not ours, or of a version that we know only half, keeps a name of its own. */
  #keepOther(): void {
    const { folder, name, file, format, clock, log } = this.#source;
    const named = folder.identity(name);
    const own = file.identity();
    const isOurs = named === undefined || (named.dev === own.dev && named.ino === own.ino);
    if (isOurs && format.version <= NEWEST_KNOWN_VERSION) return;
    const kept = isOurs
      ? `${name}.v${format.version}`
      : `${name}.foreign-${timeInName(new Date(clock.nowMs()))}`;
    if (folder.exists(kept)) return;
    try {
      folder.link(name, kept);
    } catch (error) {
      log.unusual('could not keep the other file that has the name of the store', { reason: String(error) });
    }
  }
}

const quarantineRange = (gap: Gap): QuarantineRange => ({
  offset: gap.position,
  length: gap.length,
  finding: GAP_FINDINGS[gap.kind],
  reason: gap.kind,
});
