/**
 * StoreScan: what the guard knows of the file's content, brought up to date by reading only what is new.
 *
 * guard.ts hands in the open file each round. A pass reads from the last good position; a full pass from the start, for
 * damage that happens to old records and for what was flagged dead since. What looks wrong is looked at again after a pause,
 * because the writer may be in the middle of it. Reading stops in front of the first incomplete record, as readers do; a
 * full pass goes on behind it, but does not count what it finds there.
 * Memory: one read buffer, MAX_DAMAGE ranges. The file is only read.
 */
import type { Clock } from '../base/time.ts';
import { SalvageReader } from '../store/salvage_reader.ts';
import type { StoreFile } from '../store/store_file.ts';
import type { StoreFormat } from '../store/versions.ts';
import { GOSSIP_STORE_ENDED } from '../wire/store_record.ts';
import { Patience, pause, SETTLE_MS } from './backup_copy.ts';
import { RecordCounter } from './record_stream.ts';
import { PIECE_BYTES, type Task } from './task.ts';

export interface DamagedRange {
  readonly offset: number;
  readonly length: number;
  /** A gap's kind, `malformed`, or `header` for a sound record whose header is damaged. */
  readonly kind: string;
}

/** Ranges that are listed; more are counted. */
export const MAX_DAMAGE = 1000;
const READ_BYTES = 1024 * 1024;

interface Figures {
  readonly counter: RecordCounter;
  deadBytes: number;
  readonly damage: Map<number, DamagedRange>;
  damageUnlisted: number;
  /** Header position of an end marker. */
  ended: number | undefined;
}

const noFigures = (): Figures => ({
  counter: new RecordCounter(),
  deadBytes: 0,
  damage: new Map(),
  damageUnlisted: 0,
  ended: undefined,
});

const note = (figures: Figures, offset: number, length: number, kind: string): void => {
  if (figures.damage.has(offset)) return;
  if (figures.damage.size < MAX_DAMAGE) figures.damage.set(offset, { offset, length, kind });
  else figures.damageUnlisted++;
};

export class StoreScan {
  /** Header position behind the last record that readers can pass. */
  readTo = 1;
  /** Where an incomplete record was at the end of the last pass. */
  tail: number | undefined;
  readonly #format: StoreFormat;
  #figures = noFigures();

  constructor(format: StoreFormat) {
    this.#format = format;
  }

  get records(): number {
    return this.#figures.counter.records;
  }

  get channels(): number {
    return this.#figures.counter.channels;
  }

  /** As of the last full pass, and what was dead already when it was read since. */
  get deadBytes(): number {
    return this.#figures.deadBytes;
  }

  get damage(): readonly DamagedRange[] {
    return [...this.#figures.damage.values()];
  }

  get damagedRanges(): number {
    return this.#figures.damage.size + this.#figures.damageUnlisted;
  }

  get ended(): number | undefined {
    return this.#figures.ended;
  }

  /** Reads what is new, or everything. False when the task was cancelled; what was known before stays then. */
  async pass(file: StoreFile, full: boolean, clock: Clock, task: Task): Promise<boolean> {
    const figures = full ? noFigures() : this.#figures;
    const pass = new Pass(file, this.#format, full ? 1 : this.readTo, full, figures);
    if (!(await pass.run(clock, task))) {
      // An incremental pass has counted into the figures; they belong to where it came to.
      if (!full) this.readTo = pass.countedTo;
      return false;
    }
    this.#figures = figures;
    this.readTo = pass.countedTo;
    this.tail = pass.tail;
    return true;
  }
}

class Pass {
  /** First place where readers stop. */
  tail: number | undefined;
  /** Header position up to which the figures count. */
  countedTo: number;
  readonly #file: StoreFile;
  readonly #format: StoreFormat;
  readonly #full: boolean;
  readonly #figures: Figures;
  readonly #buffer = new Uint8Array(READ_BYTES);
  #at: number;
  #reader: SalvageReader;

  constructor(file: StoreFile, format: StoreFormat, from: number, full: boolean, figures: Figures) {
    this.#file = file;
    this.#format = format;
    this.#full = full;
    this.#figures = figures;
    this.#at = from;
    this.countedTo = from;
    this.#reader = this.#readerHere();
  }

  async run(clock: Clock, task: Task): Promise<boolean> {
    const patience = new Patience();
    let breathedAt = this.#at;
    for (;;) {
      const step = this.#reader.next();
      if (step === 'end') return true;
      const { gap, position, restored } = this.#reader;
      const incomplete = step === 'gap' ? gap.atEnd : restored === 'completed';
      const doubtful = step === 'gap' || step === 'malformed' || restored !== undefined || this.#isEnd(step);
      if (doubtful && patience.allows(position, incomplete)) {
        await pause(clock, SETTLE_MS);
        if (task.cancelled() !== undefined) return false;
        this.#reader = this.#readerHere();
        continue;
      }
      if (incomplete && this.tail === undefined) {
        this.tail = position;
        if (!this.#full) return true;
      }
      this.#take(step, incomplete);
      if (this.#at - breathedAt >= PIECE_BYTES) {
        await task.breathe(this.#at - breathedAt);
        breathedAt = this.#at;
        if (task.cancelled() !== undefined) return false;
      }
    }
  }

  #isEnd(step: string): boolean {
    return step === 'live' && this.#reader.record.type === GOSSIP_STORE_ENDED;
  }

  #readerHere(): SalvageReader {
    const options = { format: this.#format, from: this.#at, limit: this.#file.size(), buffer: this.#buffer };
    return new SalvageReader(this.#file, options);
  }

  #take(step: 'live' | 'deleted' | 'malformed' | 'gap', incomplete: boolean): void {
    const reader = this.#reader;
    const size = reader.end - reader.position;
    this.#at = reader.end;
    if (step === 'gap' && !incomplete) note(this.#figures, reader.position, size, reader.gap.kind);
    if (step === 'malformed') note(this.#figures, reader.position, size, 'malformed');
    if (step !== 'gap' && !incomplete && reader.restored !== undefined)
      note(this.#figures, reader.position, size, 'header');
    if (this.#isEnd(step)) this.#figures.ended ??= reader.position;
    if (this.tail !== undefined) return;
    this.countedTo = reader.end;
    if (step === 'deleted') this.#figures.deadBytes += size;
    else if (step === 'live') this.#figures.counter.add(reader.record.type);
  }
}
