/**
 * StoreCursor: reads the published records of a running store in order, each once, at the reader's own pace.
 *
 * peer/, rgs/, history/ and sinks/ hold one each; the store neither knows nor waits for them. A cursor reads the file
 * itself, never beyond what is published, in chunks of at most CURSOR_BUFFER_BYTES; while it has nothing to read it holds
 * no buffer, so idle cursors cost some hundred bytes each. A record that is DELETED when its turn comes is skipped, also
 * when the flag is not in the file yet. One whose checksum no longer holds is skipped and counted, because the load found its
 * framing sound.
 */
import { OperationalError } from '../base/errors.ts';
import {
  FLAG_DELETED,
  RECORD_HEADER_BYTES,
  type StoreOffset,
  type StoreRecord,
  storeOffset,
} from '../wire/store_record.ts';
import type { StoreFile } from './store_file.ts';
import type { StoreFormat } from './versions.ts';
import { RecordWalker, type WalkEnd, type WalkStep } from './walker.ts';

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
  readonly format: StoreFormat;
  readonly publishedBytes: number;
  /** Changes whenever records that were published before may look different: flags, or another file. */
  readonly epoch: number;
  readonly isOpen: boolean;
  /** Flags that the record is about to get. */
  readonly pendingFlags: (offset: StoreOffset) => number;
  readonly takeBuffer: () => Uint8Array;
  readonly giveBuffer: (buffer: Uint8Array) => void;
  /** A published record was found unreadable. */
  readonly onBadRecord: (offset: StoreOffset, reason: WalkEnd | 'unreadable') => void;
  /** Where the reader is, until it is closed: the store moves it when the file has a successor. */
  readonly opened: (place: CursorPlace) => void;
  readonly closed: (place: CursorPlace) => void;
}

/** What the store sees of a cursor. */
export interface CursorPlace {
  /** Header position of the next record. */
  readonly position: () => number;
  /** The file has a successor: goes on where `translate` says. */
  readonly move: (translate: (position: number) => number) => void;
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
    walker = new RecordWalker(source.file, position, buffer, false, source.format.hasCompleted);
    return walker;
  };

  const place: CursorPlace = {
    position: () => walker?.position ?? position,
    move: (translate) => {
      const to = translate(walker?.position ?? position);
      rest();
      position = to;
    },
  };
  source.opened(place);

  const close = (): undefined => {
    if (!closed) source.closed(place);
    closed = true;
    return rest();
  };

  /** Undefined where the disk refuses: the next call tries again. */
  const stepped = (walking: RecordWalker, limit: number): WalkStep | undefined => {
    try {
      return walking.step(limit);
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      source.onBadRecord(storeOffset(walking.position + RECORD_HEADER_BYTES), 'unreadable');
      return undefined;
    }
  };

  const next = (): StoreRecord | undefined => {
    for (;;) {
      if (closed || !source.isOpen) return rest();
      const limit = source.publishedBytes;
      if ((walker?.position ?? position) >= limit) return rest();
      const walking = current();
      const step = stepped(walking, limit);
      if (step === undefined) return rest();
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
          // The framing itself is lost. The store replaces the file, and moves this reader behind the damage.
          source.onBadRecord(storeOffset(walking.position + RECORD_HEADER_BYTES), step);
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
      close();
    },
  };
};
