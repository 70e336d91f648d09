/**
 * StoreCursor: reads the published records of a running store in order, each once, at the reader's own pace.
 *
 * peer/, rgs/, history/ and sinks/ hold one each; the store neither knows nor waits for them. A cursor reads the file
 * itself, never beyond what is published, in chunks of at most CURSOR_BUFFER_BYTES; while it has nothing to read it holds
 * no buffer, so idle cursors cost some hundred bytes each. A record that is DELETED when its turn comes is skipped, also
 * when the flag is not in the file yet. One whose checksum no longer holds is skipped and counted, because the load found its
 * framing sound.
 */
import {
  FLAG_DELETED,
  RECORD_HEADER_BYTES,
  type StoreOffset,
  type StoreRecord,
  storeOffset,
} from '../wire/store_record.ts';
import type { StoreFile } from './store_file.ts';
import { RecordWalker, type WalkEnd } from './walker.ts';

/** 128 KiB: the largest record and its neighbour fit, and a read of it takes some 20 microseconds. */
export const CURSOR_BUFFER_BYTES = 128 * 1024;

export interface StoreCursor {
  /** The next record, borrowed until the next call; undefined when there is none for now. */
  readonly next: () => StoreRecord | undefined;
  /** Message offset that the next record has or will have: `cursor(position)` goes on from here. */
  readonly position: StoreOffset;
  /** Published bytes not yet read. */
  readonly lagBytes: () => number;
  readonly close: () => void;
}

/** What a running store shows its cursors. */
export interface CursorSource {
  readonly file: StoreFile;
  readonly publishedBytes: number;
  /** Changes whenever records that were published before may look different: flags, or another file. */
  readonly epoch: number;
  readonly isOpen: boolean;
  /** Flags that the record is about to get. */
  readonly pendingFlags: (offset: StoreOffset) => number;
  readonly takeBuffer: () => Uint8Array;
  readonly giveBuffer: (buffer: Uint8Array) => void;
  /** A published record was found unreadable. */
  readonly onBadRecord: (offset: StoreOffset, reason: WalkEnd) => void;
}

/** @param start header position of the first record to read */
export const openCursor = (source: CursorSource, start: number): StoreCursor => {
  let position = start;
  let epoch = -1;
  let buffer: Uint8Array | undefined;
  let walker: RecordWalker | undefined;
  let closed = false;

  const rest = (): undefined => {
    if (walker !== undefined) position = walker.position;
    if (buffer !== undefined) source.giveBuffer(buffer);
    buffer = undefined;
    walker = undefined;
    return undefined;
  };

  const current = (): RecordWalker => {
    if (walker !== undefined && epoch === source.epoch) return walker;
    if (walker !== undefined) position = walker.position;
    buffer ??= source.takeBuffer();
    epoch = source.epoch;
    walker = new RecordWalker(source.file, position, buffer);
    return walker;
  };

  const next = (): StoreRecord | undefined => {
    for (;;) {
      if (closed || !source.isOpen) return rest();
      const limit = source.publishedBytes;
      if ((walker?.position ?? position) >= limit) return rest();
      const walking = current();
      const step = walking.step(limit);
      switch (step) {
        case 'live':
          if ((source.pendingFlags(walking.record.offset) & FLAG_DELETED) !== 0) continue;
          return walking.record;
        case 'deleted':
        case 'malformed':
          continue;
        case 'bad_checksum':
          source.onBadRecord(walking.record.offset, step);
          walking.skipBadRecord();
          continue;
        case 'end_of_file':
          return rest();
        case 'incomplete_record':
        case 'torn_header':
        case 'torn_record':
        case 'bad_length':
          // The framing itself is lost: nothing behind this can be trusted until the store is opened again.
          source.onBadRecord(storeOffset(walking.position + RECORD_HEADER_BYTES), step);
          closed = true;
          return rest();
      }
    }
  };

  return {
    next,
    get position() {
      return storeOffset((walker?.position ?? position) + RECORD_HEADER_BYTES);
    },
    lagBytes: () => Math.max(0, source.publishedBytes - (walker?.position ?? position)),
    close: () => {
      closed = true;
      rest();
    },
  };
};
