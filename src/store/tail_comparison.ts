/**
 * Comparison: a store file that has taken another's place, held against what a tail has told.
 *
 * tail.ts makes one when it opens a new file, which is surveyed once ahead: how far it goes now, and which tombstones
 * it has. A compaction keeps tombstones only of channels that were deleted while it copied, and brings back the records it had
 * copied before; those are buried. Records that are met are marked in the table. What is not marked in the end is gone, unless the
 * new file is damaged, or has lost more than half of its channels: then it was emptied and fills up again, and telling thousands
 * of deletions would be telling of the file, not of the network.
 * Memory: a table of the tombstones, and the list of what is missing.
 */
import type { Rng } from '../base/rng.ts';
import { KEY_KIND, ReportedTable } from './reported_table.ts';
import { emptyKey, type RecordKey, readKey } from './tail_ledger.ts';
import { survey, type TailSource } from './tail_source.ts';

const RESTS_ON_CHANNEL = [KEY_KIND.update_0, KEY_KIND.update_1, KEY_KIND.dying] as const;

/** With fewer channels than this, every one that is missing is told. */
const MIN_EMPTIED_CHANNELS = 100;

export interface MissingChannel {
  readonly hi: number;
  readonly lo: number;
  readonly tombstone: boolean;
  /** It is in the file again. */
  readonly isBack: boolean;
}

export interface MissingChannels {
  readonly missing: readonly MissingChannel[];
  /** Channels that are missing and are not told, and why. */
  readonly withheld: number;
  readonly reason: 'damaged' | 'emptied' | undefined;
}

export class Comparison {
  /** Header position at which the comparison ends: what comes behind it is new. */
  readonly limit: number;
  /** Damage was passed: what is missing may be in it. */
  readonly isDamaged: boolean;
  isListed = false;
  readonly #table: ReportedTable;
  readonly #tombstones: ReportedTable;
  readonly #rng: Rng;
  #keepsAll = false;
  #isAgainNeeded = false;

  /** Clears the marks of `table`. @param buffer borrowed during the call */
  constructor(source: TailSource, table: ReportedTable, rng: Rng, buffer: Uint8Array) {
    this.#table = table;
    this.#rng = rng;
    this.#tombstones = new ReportedTable(rng);
    table.clearMarks();
    const key = emptyKey();
    const { file, format } = source;
    const { end, gaps } = survey({
      file,
      format,
      until: Number.POSITIVE_INFINITY,
      opensDeleted: true,
      buffer,
      visit: (record, position, isDeleted) => {
        if (readKey(record, key)) this.#see(key, position, isDeleted);
      },
    });
    this.limit = end;
    this.isDamaged = gaps > 0;
  }

  /**
   * Records are marked before reading comes to them, and also when they are deleted already: the writer may be replacing or
   * moving them, and what takes their place may come behind the limit.
   */
  #see({ kind, hi, lo, content }: RecordKey, position: number, isDeleted: boolean): void {
    const table = this.#table;
    if (kind === 0) {
      if (isDeleted) return;
      this.#tombstones.set(KEY_KIND.announcement, hi, lo, 0, 0, position);
      for (const each of RESTS_ON_CHANNEL) {
        const slot = table.find(each, hi, lo);
        if (slot >= 0) table.unmark(slot);
      }
    } else if (kind !== KEY_KIND.announcement) {
      const slot = table.find(kind, hi, lo);
      if (slot >= 0 && table.contentAt(slot) === content) table.markSeen(slot);
    }
  }

  /** True if a later tombstone removes the record's channel. */
  isBuried({ kind, hi, lo }: RecordKey, position: number): boolean {
    if (kind > KEY_KIND.dying) return false;
    const slot = this.#tombstones.find(KEY_KIND.announcement, hi, lo);
    return slot >= 0 && this.#tombstones.positionAt(slot) > position;
  }

  /**
   * The channels that were told and are not there any more. So is one that is there without an update, or an announced end,
   * that was told: it was removed and announced anew. What the file has of such channels is then still to be told (`again`).
   */
  list(): MissingChannels {
    this.isListed = true;
    this.#isAgainNeeded = false;
    const table = this.#table;
    const gone = new ReportedTable(this.#rng);
    const missing: MissingChannel[] = [];
    for (let slot = 0; slot < table.slots; slot++) {
      const kind = table.kindAt(slot);
      if (kind === 0 || kind > KEY_KIND.dying || table.isMarked(slot)) continue;
      const [hi, lo] = [table.hiAt(slot), table.loAt(slot)];
      if (gone.find(KEY_KIND.announcement, hi, lo) >= 0) continue;
      gone.set(KEY_KIND.announcement, hi, lo, 0, 0, 0);
      const channel = table.find(KEY_KIND.announcement, hi, lo);
      const isBack = channel >= 0 && table.isMarked(channel);
      const tombstone = this.#tombstones.find(KEY_KIND.announcement, hi, lo) >= 0;
      missing.push({ hi, lo, tombstone, isBack });
    }
    const isEmptied = table.channels >= MIN_EMPTIED_CHANNELS && missing.length * 2 > table.channels;
    this.#keepsAll = this.isDamaged || isEmptied;
    const told = this.#keepsAll ? missing.filter(({ tombstone }) => tombstone) : missing;
    this.#isAgainNeeded = told.some(({ isBack }) => isBack);
    return {
      missing: told,
      withheld: missing.length - told.length,
      reason: !this.#keepsAll ? undefined : this.isDamaged ? 'damaged' : 'emptied',
    };
  }

  /** True once if the file is to be read again for channels that were announced anew. */
  again(): boolean {
    if (!this.#isAgainNeeded) return false;
    this.isListed = false;
    return true;
  }

  /** Forgets what the new file does not have. */
  finish(): void {
    const table = this.#table;
    if (!this.#keepsAll) {
      table.keepMarked();
      return;
    }
    // Their places were in the old file.
    for (let slot = 0; slot < table.slots; slot++) {
      if (table.kindAt(slot) !== 0 && !table.isMarked(slot)) table.markMet(slot, 0);
    }
  }
}
