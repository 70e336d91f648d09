/**
 * Reserve: room on the disk that is kept for the day on which there is none left.
 *
 * gossip_store makes NAME.reserve while there is plenty of room, and gives it back when a full disk asks for a compaction: a
 * rewrite needs room for a second copy exactly when there is none. The file is filled with random bytes, so that no file
 * system compresses it, finds it twice or leaves holes, in pieces of 1 MiB so that the event loop is not held.
 * Nothing here throws for the disk's sake: a reserve that cannot be had is only an answer. Its content means nothing.
 */
import { OperationalError } from '../base/errors.ts';
import type { Rng } from '../base/rng.ts';
import type { StoreFile, StoreFolder } from './store_file.ts';

const PIECE_BYTES = 1024 * 1024;
/** The size grows in steps of so much, so that a map which grows a little does not have it written anew. */
const STEP_BYTES = 4 * PIECE_BYTES;
/** Six mainnet maps. */
export const MAX_RESERVE_BYTES = 256 * 1024 * 1024;
/** Others on the same disk keep three quarters of what was free. */
const FREE_PER_RESERVE = 4;

export type ReserveState =
  /** It has its size. */
  | 'whole'
  /** step() has more to write. */
  | 'filling'
  /** There is none, or a smaller one of earlier: less than four times its size is free. */
  | 'no_room'
  /** The disk refused; there is none. */
  | 'refused'
  /** It was given back, or never made. */
  | 'none';

export const reserveName = (name: string): string => `${name}.reserve`;

/** Size for a store of so many live bytes: what a compaction writes, rounded up. */
export const reserveBytesFor = (liveBytes: number): number =>
  Math.min(MAX_RESERVE_BYTES, Math.max(1, Math.ceil(liveBytes / STEP_BYTES)) * STEP_BYTES);

export class Reserve {
  readonly #folder: StoreFolder;
  readonly #name: string;
  readonly #rng: Rng;
  #state: ReserveState = 'none';
  #file: StoreFile | undefined;
  #bytes: number;
  #wanted = 0;

  /** @param name of the store */
  constructor(folder: StoreFolder, name: string, rng: Rng) {
    this.#folder = folder;
    this.#name = reserveName(name);
    this.#rng = rng;
    this.#bytes = this.#found();
  }

  get state(): ReserveState {
    return this.#state;
  }

  /** What release() would give back. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Makes the reserve, or makes it anew where its size is not what a compaction would need. `filling`: call step(). */
  ensure(liveBytes: number): ReserveState {
    const wanted = reserveBytesFor(liveBytes);
    if (this.#state === 'filling') {
      if (this.#wanted === wanted) return this.#state;
      this.release();
    }
    if (this.#bytes === wanted) return this.#be('whole');
    let free: number;
    try {
      free = this.#folder.freeBytes() + this.#bytes;
    } catch (error) {
      return this.#refused(error);
    }
    if (free < FREE_PER_RESERVE * wanted) return this.#be('no_room');
    this.release();
    if (this.#bytes > 0) return this.#be('refused');
    try {
      this.#file = this.#folder.open(this.#name, 'create');
    } catch (error) {
      return this.#refused(error);
    }
    this.#wanted = wanted;
    return this.#be('filling');
  }

  /** Writes one piece of 1 MiB. */
  step(): ReserveState {
    const file = this.#file;
    if (file === undefined) return this.#state;
    try {
      file.write(this.#rng.bytes(PIECE_BYTES), this.#bytes);
    } catch (error) {
      return this.#refused(error);
    }
    this.#bytes += PIECE_BYTES;
    if (this.#bytes < this.#wanted) return this.#state;
    this.#close();
    return this.#be('whole');
  }

  /** Gives the room back; returns how many bytes. */
  release(): number {
    this.#close();
    this.#state = 'none';
    try {
      this.#folder.remove(this.#name);
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      this.#bytes = this.#found();
      return 0;
    }
    const released = this.#bytes;
    this.#bytes = 0;
    return released;
  }

  /** At a stop: one that is only half made is removed, a whole one stays for the next start. */
  close(): void {
    if (this.#state === 'filling') this.release();
  }

  #be(state: ReserveState): ReserveState {
    this.#state = state;
    return state;
  }

  /** Half a reserve on a disk that refuses is only in the way. */
  #refused(error: unknown): ReserveState {
    if (!(error instanceof OperationalError)) throw error;
    if (this.#file !== undefined) this.release();
    return this.#be('refused');
  }

  #close(): void {
    try {
      this.#file?.close();
    } catch {
      // What closing may still complain about is the content, which means nothing.
    }
    this.#file = undefined;
  }

  /** Size of the file that is there, perhaps one that a crash left half made. */
  #found(): number {
    try {
      if (!this.#folder.exists(this.#name)) return 0;
      const file = this.#folder.open(this.#name, 'read');
      try {
        return file.size();
      } finally {
        file.close();
      }
    } catch (error) {
      if (error instanceof OperationalError) return 0;
      throw error;
    }
  }
}
