/**
 * openFollower: reads a store file that another process writes, gossipd or CLN.
 *
 * Tools and read-only users hold one. Nothing is watched: the file is looked at when next() is called. Reading stops, for
 * now, at the first record that is not COMPLETED or whose checksum does not hold yet, and is taken up there at the next
 * call. An ENDED record, another file under the name, or a file that has become shorter means that the writer has replaced
 * the file: it is opened anew and read from its start, and `generation` is one higher, so that the reader can start over.
 * Versions 14, 15 and 16; before 15 records have no COMPLETED flag, and only whole ones with a right checksum count. Readers that
 * need each record once, across replacements and damage, open a tail (tail.ts) instead.
 */
import { OperationalError } from '../base/errors.ts';
import {
  GOSSIP_STORE_ENDED,
  RECORD_HEADER_BYTES,
  type StoreOffset,
  type StoreRecord,
  storeOffset,
} from '../wire/store_record.ts';
import { CURSOR_BUFFER_BYTES, type StoreCursor } from './cursor.ts';
import { FIRST_RECORD_POSITION } from './format.ts';
import { readVersion } from './scan.ts';
import type { StoreFile, StoreFolder } from './store_file.ts';
import { type StoreFormat, storeFormat } from './versions.ts';
import { RecordWalker, type WalkEnd } from './walker.ts';

export interface StoreFollower extends StoreCursor {
  /** Counts the files read under the name, from 0; a change means that reading has started over. */
  readonly generation: number;
  /** Why the last call to next() gave nothing: `end_of_file` when all is read. */
  readonly waitingFor: WalkEnd | undefined;
}

/**
 * Throws OperationalError: no such file, or another version; next() throws the same for a file that replaces it.
 *
 * @param from `start`, `end` (behind the last record that is there now), or a position to go on from
 */
export const openFollower = (
  folder: StoreFolder,
  name: string,
  from: StoreOffset | 'start' | 'end' = 'start',
): StoreFollower => new Follower(folder, name, from);

const OLDEST_FOLLOWED_VERSION = 14;

interface Opened {
  readonly file: StoreFile;
  readonly format: StoreFormat;
}

const openFormat = (folder: StoreFolder, name: string): Opened => {
  const file = folder.open(name, 'read');
  try {
    const version = readVersion(file) ?? 0;
    const format = storeFormat(version);
    if (format !== undefined && version >= OLDEST_FOLLOWED_VERSION) return { file, format };
    throw new OperationalError(
      'store_version_unsupported',
      'stop',
      `${folder.path}/${name} has version ${version}; versions 14 to 16 can be followed.`,
      'Follow it with "gossipd tail", or write it in a current version with "gossipd convert".',
    );
  } catch (error) {
    file.close();
    throw error;
  }
};

/** Header position behind the last record that can be read now. */
const endOf = (walker: RecordWalker, limit: number): number => {
  for (;;) {
    const step = walker.step(limit);
    if (step !== 'live' && step !== 'deleted' && step !== 'malformed') return walker.position;
  }
};

class Follower implements StoreFollower {
  generation = 0;
  waitingFor: WalkEnd | undefined;
  readonly #folder: StoreFolder;
  readonly #name: string;
  readonly #buffer = new Uint8Array(CURSOR_BUFFER_BYTES);
  #file: StoreFile;
  #walker: RecordWalker;
  /** The file's length when last looked at: reading stops there. */
  #size: number;
  #closed = false;

  constructor(folder: StoreFolder, name: string, from: StoreOffset | 'start' | 'end') {
    this.#folder = folder;
    this.#name = name;
    const { file, format } = openFormat(folder, name);
    this.#file = file;
    this.#size = file.size();
    const start = typeof from === 'number' ? from - RECORD_HEADER_BYTES : FIRST_RECORD_POSITION;
    this.#walker = this.#walkerOn(file, format, start);
    if (from === 'end') this.#walker.seek(endOf(this.#walker, this.#size));
  }

  get position(): StoreOffset {
    return storeOffset(this.#walker.position + RECORD_HEADER_BYTES);
  }

  readonly lagBytes = (): number =>
    this.#closed ? 0 : Math.max(0, this.#file.size() - this.#walker.position);

  readonly close = (): void => {
    if (this.#closed) return;
    this.#closed = true;
    this.#file.close();
  };

  readonly next = (): StoreRecord | undefined => {
    if (this.#closed) return undefined;
    for (;;) {
      const step = this.#walker.step(this.#size);
      if (step === 'deleted' || step === 'malformed') continue;
      if (step === 'live') {
        if (this.#walker.record.type !== GOSSIP_STORE_ENDED) return this.#walker.record;
        // An end marker in the file that still has the name leads nowhere: what follows it is read.
        this.#reopen();
      } else if (!this.#hasGrown() && !this.#reopen()) {
        this.waitingFor = step;
        return undefined;
      }
    }
  };

  #walkerOn(file: StoreFile, format: StoreFormat, start: number): RecordWalker {
    return new RecordWalker(file, start, this.#buffer, false, format.hasCompleted);
  }

  /** True if there may be more to read now. What was read ahead is forgotten either way: it may have changed. */
  #hasGrown(): boolean {
    const size = this.#file.size();
    const grown = size > this.#size;
    this.#size = size;
    this.#walker.seek(this.#walker.position);
    return grown;
  }

  /** True if the name leads to another file than the one being read. */
  #isReplaced(): boolean {
    const named = this.#folder.identity(this.#name);
    if (named === undefined) return false;
    const own = this.#file.identity();
    return named.dev !== own.dev || named.ino !== own.ino;
  }

  /** Starts over if the name leads to another file, or if the file has become shorter than what was read of it. */
  #reopen(): boolean {
    if (!this.#isReplaced() && this.#file.size() >= this.#walker.position) return false;
    const { file, format } = openFormat(this.#folder, this.#name);
    this.#file.close();
    this.#file = file;
    this.#walker = this.#walkerOn(file, format, FIRST_RECORD_POSITION);
    this.#size = file.size();
    this.generation++;
    return true;
  }
}
