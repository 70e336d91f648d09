/**
 * Copying the sound records of a store that a writer may be working on, as the file is at one moment.
 *
 * backup.ts hands in the open file and a sink, and starts over when the answer is 'replaced'. Live records are copied, dead ones
 * are not. Every writer flags a record DELETED only after what replaces it is in the file, so reading goes on until
 * the file has not grown during the last piece: then each record that was left out as dead has its successor in the copy.
 * What looks damaged may be a write under way: it is looked at again after a pause before it counts as missing, and an end
 * marker or a changed identity means that the name leads to another file by now.
 * The source is only read. Memory: one read buffer, one write buffer, MAX_LISTED_RANGES ranges.
 */
import { toHex, writeU16, writeU32 } from '../base/bytes.ts';
import type { Clock } from '../base/time.ts';
import { MAX_RECORD_BYTES } from '../store/format.ts';
import { type Gap, SalvageReader } from '../store/salvage_reader.ts';
import type { StoreFile, StoreFolder } from '../store/store_file.ts';
import { recordChecksum, type StoreFormat } from '../store/versions.ts';
import {
  FLAG_DELETED,
  GOSSIP_STORE_ENDED,
  GOSSIP_STORE_UUID,
  type StoreRecord,
} from '../wire/store_record.ts';
import { MAX_LISTED_RANGES, type Missing, type MissingRange } from './backup_manifest.ts';
import { RecordCounter } from './record_stream.ts';
import { PIECE_BYTES, type Task } from './task.ts';

export interface CopySource {
  readonly folder: StoreFolder;
  readonly name: string;
  readonly file: StoreFile;
  readonly format: StoreFormat;
  readonly includePrivate: boolean;
}

/** Takes bytes of the copy in order; borrowed until it resolves. */
export type CopySink = (bytes: Uint8Array) => Promise<void>;

export interface StoreCopy {
  readonly counter: RecordCounter;
  /** Hex; null when the file has none. */
  readonly uuid: string | null;
  /** Of the copy. */
  readonly bytes: number;
  readonly source_bytes: number;
  readonly dead_bytes: number;
  readonly private_records_left_out: number;
  readonly records_restored: number;
  readonly records_left_out: number;
  readonly missing: Missing;
}

/** Records of this node's own unannounced channels, in versions up to 12. */
const PRIVATE_TYPES: ReadonlySet<number> = new Set([3503, 4100, 4102, 4104]);

export const isPrivateType = (type: number): boolean => PRIVATE_TYPES.has(type);

const READ_BYTES = 1024 * 1024;
const WRITE_BYTES = 1024 * 1024;
/** A write takes microseconds, and two processes may have to share a processor. */
export const SETTLE_MS = 200;
/** How often one place is looked at again. */
const LOOKS = 2;
/** Pauses in one copy: a file with thousands of damaged places is not waited for at each of them. */
const MAX_PAUSES = 6;
/** As MAX_PAUSES, for what looks unfinished at the file's end. */
const MAX_PAUSES_AT_END = 40;
/** Times that the limit follows a growing file; each round is far shorter than the one before. */
const MAX_EXTENSIONS = 1000;

export const pause = (clock: Clock, ms: number): Promise<void> =>
  new Promise((resolve) => {
    clock.after(ms, resolve);
  });

/** Gathers records as they are to stand in the copy, with their headers written anew. */
export class CopyWriter {
  bytes = 0;
  readonly #format: StoreFormat;
  readonly #sink: CopySink;
  #buffer = new Uint8Array(WRITE_BYTES + 2 * MAX_RECORD_BYTES);
  #filled = 1;

  constructor(format: StoreFormat, sink: CopySink) {
    this.#format = format;
    this.#sink = sink;
    this.#buffer[0] = format.version;
  }

  /** True when enough has gathered for flush(). Grows when more is added before: memory is what lies between two flushes. */
  add(bytes: Uint8Array, at: number, length: number, timestamp: number, flags: number): boolean {
    const { headerBytes } = this.#format;
    const start = this.#filled;
    const message = start + headerBytes;
    if (message + length > this.#buffer.length) {
      const larger = new Uint8Array(this.#buffer.length * 2);
      larger.set(this.#buffer.subarray(0, start));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes.subarray(at, at + length), message);
    writeU16(this.#buffer, start, flags);
    writeU16(this.#buffer, start + 2, length);
    const crc = recordChecksum(this.#format, timestamp, this.#buffer, message, message + length);
    writeU32(this.#buffer, start + 4, crc);
    if (headerBytes === 12) writeU32(this.#buffer, start + 8, timestamp);
    this.#filled = message + length;
    return this.#filled >= WRITE_BYTES;
  }

  async flush(): Promise<void> {
    if (this.#filled === 0) return;
    const piece = this.#buffer.subarray(0, this.#filled);
    await this.#sink(piece);
    this.bytes += piece.length;
    this.#filled = 0;
  }
}

/** Says whether something that looks wrong deserves another look after SETTLE_MS: it may be a write under way. */
export class Patience {
  #at = -1;
  #looks = 0;
  #pauses = 0;
  #pausesAtEnd = 0;

  allows(position: number, atEnd: boolean): boolean {
    if (position !== this.#at) {
      this.#at = position;
      this.#looks = 0;
    }
    if (this.#looks >= LOOKS) return false;
    if (atEnd ? this.#pausesAtEnd >= MAX_PAUSES_AT_END : this.#pauses >= MAX_PAUSES) return false;
    this.#looks++;
    if (atEnd) this.#pausesAtEnd++;
    else this.#pauses++;
    return true;
  }
}

class Tally {
  readonly counter = new RecordCounter();
  uuid: string | null = null;
  deadBytes = 0;
  privateRecords = 0;
  restored = 0;
  leftOut = 0;
  ranges = 0;
  missingBytes = 0;
  missingRecords = 0;
  readonly listed: MissingRange[] = [];

  addGap({ position, length, kind, records }: Gap): void {
    this.ranges++;
    this.missingBytes += length;
    this.missingRecords += records;
    if (this.listed.length < MAX_LISTED_RANGES) this.listed.push({ offset: position, length, kind });
  }

  result(bytes: number, sourceBytes: number): StoreCopy {
    return {
      counter: this.counter,
      uuid: this.uuid,
      bytes,
      source_bytes: sourceBytes,
      dead_bytes: this.deadBytes,
      private_records_left_out: this.privateRecords,
      records_restored: this.restored,
      records_left_out: this.leftOut,
      missing: {
        ranges: this.ranges,
        bytes: this.missingBytes,
        records: this.missingRecords,
        listed: this.listed,
      },
    };
  }
}

const namesAnotherFile = ({ folder, name, file }: CopySource): boolean => {
  const now = folder.identity(name);
  const mine = file.identity();
  return now === undefined || now.ino !== mine.ino || now.dev !== mine.dev;
};

/** A run of the source between two looks at its size. */
class CopyRun {
  readonly tally = new Tally();
  readonly #source: CopySource;
  readonly #writer: CopyWriter;
  readonly #buffer = new Uint8Array(READ_BYTES);
  #reader: SalvageReader;
  /** Header position behind the last record that was dealt with. */
  #at = 1;
  #limit: number;

  constructor(source: CopySource, writer: CopyWriter) {
    this.#source = source;
    this.#writer = writer;
    this.#limit = source.file.size();
    this.#reader = this.#readerFrom(this.#at);
  }

  get reader(): SalvageReader {
    return this.#reader;
  }

  get at(): number {
    return this.#at;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Looks at the file again from where this copy is. False when it has become shorter than what was read. */
  lookAgain(): boolean {
    this.#limit = this.#source.file.size();
    if (this.#limit < this.#at) return false;
    this.#reader = this.#readerFrom(this.#at);
    return true;
  }

  /** Accepts what the reader's last step gave. True when the writer is full. */
  take(step: 'live' | 'deleted' | 'malformed' | 'gap'): boolean {
    const { record, gap, restored } = this.#reader;
    const size = this.#reader.end - this.#reader.position;
    this.#at = this.#reader.end;
    switch (step) {
      case 'deleted':
        this.tally.deadBytes += size;
        return false;
      case 'malformed':
        this.tally.leftOut++;
        return false;
      case 'gap':
        this.tally.addGap(gap);
        return false;
      case 'live':
        if (restored !== undefined) this.tally.restored++;
        return this.#keep(record);
    }
  }

  #keep(record: StoreRecord): boolean {
    const { bytes, at, length, type, timestamp, flags } = record;
    if (type === GOSSIP_STORE_ENDED) {
      this.tally.leftOut++;
      return false;
    }
    if (!this.#source.includePrivate && isPrivateType(type)) {
      this.tally.privateRecords++;
      return false;
    }
    if (type === GOSSIP_STORE_UUID && this.tally.uuid === null)
      this.tally.uuid = toHex(bytes, at + 2, at + length);
    this.tally.counter.add(type);
    return this.#writer.add(bytes, at, length, timestamp, flags & ~FLAG_DELETED);
  }

  #readerFrom(position: number): SalvageReader {
    const { file, format } = this.#source;
    return new SalvageReader(file, { format, from: position, limit: this.#limit, buffer: this.#buffer });
  }
}

export type CopyResult = StoreCopy | 'replaced' | 'cancelled';

/**
 * One attempt. `replaced`: the name leads to another file now, or the file was cut short; what the sink has taken is void.
 *
 * @param followsName false: copies this file to its end even if the name leads elsewhere by now
 */
export const copyStore = async (
  source: CopySource,
  sink: CopySink,
  { clock, task, followsName }: { clock: Clock; task: Task; followsName: boolean },
): Promise<CopyResult> => {
  const { file } = source;
  const writer = new CopyWriter(source.format, sink);
  const run = new CopyRun(source, writer);
  const patience = new Patience();
  let extensions = 0;
  let breathedAt = 0;
  for (;;) {
    const { reader } = run;
    const step = reader.next();
    if (step === 'end') {
      const size = file.size();
      if (size < run.at) return 'replaced';
      if (size === run.limit || extensions++ >= MAX_EXTENSIONS) break;
      if (!run.lookAgain()) return 'replaced';
      continue;
    }
    const ended = step === 'live' && reader.record.type === GOSSIP_STORE_ENDED;
    const doubtful = step === 'gap' || step === 'malformed' || ended || reader.restored !== undefined;
    if (doubtful) {
      const atEnd = step === 'gap' ? reader.gap.atEnd : ended || reader.restored === 'completed';
      if (patience.allows(reader.position, atEnd)) {
        await pause(clock, SETTLE_MS);
        if (task.cancelled() !== undefined) return 'cancelled';
        if (followsName && namesAnotherFile(source)) return 'replaced';
        if (!run.lookAgain()) return 'replaced';
        continue;
      }
    }
    if (run.take(step)) await writer.flush();
    if (run.at - breathedAt >= PIECE_BYTES) {
      task.progress('copying', run.at, run.limit);
      await task.breathe(run.at - breathedAt);
      breathedAt = run.at;
      if (task.cancelled() !== undefined) return 'cancelled';
    }
  }
  await writer.flush();
  if (followsName && namesAnotherFile(source)) return 'replaced';
  return run.tally.result(writer.bytes, run.limit);
};
