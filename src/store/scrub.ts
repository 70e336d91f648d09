/**
 * Scrub: reads the whole file again and again, a little at a time, and says where it has gone bad.
 *
 * upkeep calls it with what it may read. A pass takes at least PASS_MS, at most as long as the file needs at MAX_BYTES_PER_SECOND,
 * so that a mainnet store is seen whole every 45 seconds at about a thousandth of a core. A record is bad when its checksum is
 * wrong, its framing is lost, or its header differs from what the message proves; so is the version byte in front of them.
 */
import { FIRST_RECORD_POSITION } from './format.ts';
import { SalvageReader } from './salvage_reader.ts';
import type { StoreFile } from './store_file.ts';
import type { StoreFormat } from './versions.ts';
import { MIN_WALK_BUFFER_BYTES } from './walker.ts';

const PASS_MS = 45_000;
const MAX_BYTES_PER_SECOND = 8 * 1024 * 1024;
const MIN_BYTES = 64 * 1024;

export interface ScrubbedFile {
  readonly file: StoreFile;
  readonly format: StoreFormat;
  readonly publishedBytes: number;
}

/** How much to read after `elapsedMs`. @param size of the file, bytes */
export const scrubAllowance = (size: number, elapsedMs: number): number => {
  const perSecond = Math.min(MAX_BYTES_PER_SECOND, (size / PASS_MS) * 1000);
  return Math.max(MIN_BYTES, Math.floor((perSecond * elapsedMs) / 1000));
};

export class Scrub {
  #position = FIRST_RECORD_POSITION;
  readonly #buffer = new Uint8Array(MIN_WALK_BUFFER_BYTES);
  /** Whole passes since the start. */
  passes = 0;

  /** The file was replaced: starts over. */
  restart(): void {
    this.#position = FIRST_RECORD_POSITION;
  }

  /** Looks at about `bytes` more; the position of the first bad thing in them (0: the version), or undefined. Throws what reading throws. */
  step({ file, format, publishedBytes }: ScrubbedFile, bytes: number): number | undefined {
    if (this.#position >= publishedBytes) {
      if (publishedBytes > FIRST_RECORD_POSITION) this.passes++;
      this.#position = FIRST_RECORD_POSITION;
      return undefined;
    }
    if (this.#position === FIRST_RECORD_POSITION && !hasVersion(file, format)) return 0;
    const reader = new SalvageReader(file, {
      format,
      from: this.#position,
      limit: publishedBytes,
      buffer: this.#buffer,
    });
    const stopAt = this.#position + bytes;
    while (this.#position < stopAt) {
      const step = reader.next();
      if (step === 'end') {
        this.#position = publishedBytes;
        return undefined;
      }
      if (step === 'gap' || reader.restored !== undefined) return reader.position;
      this.#position = reader.end;
    }
    return undefined;
  }
}

/** The first byte, which no checksum covers; every reader of the file looks at it before anything else. */
const hasVersion = (file: StoreFile, format: StoreFormat): boolean => {
  const first = new Uint8Array(1);
  return file.read(first, 0, 1, 0) === 1 && first[0] === format.version;
};
