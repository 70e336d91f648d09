/**
 * openFollower: reads a store file that another process writes, gossipd or CLN.
 *
 * Tools and read-only users hold one. Nothing is watched: the file is looked at when next() is called. Reading stops, for
 * now, at the first record that is not COMPLETED or whose checksum does not hold yet, and is taken up there at the next
 * call. An ENDED record, another file under the name, or a file that has become shorter means that the writer has replaced
 * the file: it is opened anew and read from its start, and `generation` is one higher, so that the reader can start over.
 */
import {
  GOSSIP_STORE_ENDED,
  RECORD_HEADER_BYTES,
  type StoreOffset,
  type StoreRecord,
  storeOffset,
} from '../wire/store_record.ts';
import { CURSOR_BUFFER_BYTES, type StoreCursor } from './cursor.ts';
import { FIRST_RECORD_POSITION, requireVersion } from './format.ts';
import { readVersion, scanStore } from './scan.ts';
import type { StoreFile, StoreFolder } from './store_file.ts';
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

const openVersion16 = (folder: StoreFolder, name: string): StoreFile => {
  const file = folder.open(name, 'read');
  try {
    requireVersion(readVersion(file) ?? 0, `${folder.path}/${name}`);
  } catch (error) {
    file.close();
    throw error;
  }
  return file;
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
    this.#file = openVersion16(folder, name);
    const start =
      from === 'start'
        ? FIRST_RECORD_POSITION
        : from === 'end'
          ? scanStore(this.#file, () => {}).end
          : from - RECORD_HEADER_BYTES;
    this.#walker = new RecordWalker(this.#file, start, this.#buffer);
    this.#size = this.#file.size();
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
    const file = openVersion16(this.#folder, this.#name);
    this.#file.close();
    this.#file = file;
    this.#walker = new RecordWalker(file, FIRST_RECORD_POSITION, this.#buffer);
    this.#size = file.size();
    this.generation++;
    return true;
  }
}
