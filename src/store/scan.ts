/**
 * scanStore: one pass over a store file, each good record handed to a visitor.
 *
 * Pure over a StoreFile: changes nothing, keeps nothing. Tools and tests use it; the writer's own load (load.ts) walks the
 * same way and adds the rules about what may stand beside what. Reading goes 1 MiB at a time, so memory does not grow with
 * the file. The scan stops in front of the first record that cannot be framed or whose checksum is wrong; a malformed or
 * unknown message with a right checksum is counted and skipped, because its framing holds.
 */
import { own } from '../base/bytes.ts';
import { storeUuidAt } from '../wire/gossip_store_messages.ts';
import {
  GOSSIP_STORE_UUID,
  RECORD_HEADER_BYTES,
  type StoreOffset,
  type StoreRecord,
} from '../wire/store_record.ts';
import { FIRST_RECORD_POSITION, requireVersion, UUID_BYTES } from './format.ts';
import type { StoreFile } from './store_file.ts';
import { RecordWalker, type WalkEnd } from './walker.ts';

export const SCAN_BUFFER_BYTES = 1024 * 1024;

export interface ScanOptions {
  /** Message offset of the first record to look at; the file's first one otherwise. */
  readonly from?: StoreOffset;
  /** Hands out deleted records too; one whose checksum no longer holds with type 0 and only its length, flags and offset. */
  readonly includeDeleted?: boolean;
}

export interface ScanEnd {
  /** Header position just after the last good record. */
  readonly end: number;
  /** Live records handed out. */
  readonly records: number;
  readonly deleted: number;
  /** Records with a right checksum whose message no type's layout fits; skipped. */
  readonly malformed: number;
  readonly reason: WalkEnd;
  /** The version byte; 0 for an empty file. */
  readonly version: number;
  /** From the first uuid record. */
  readonly uuid?: Uint8Array;
}

/** The version byte; undefined for an empty file. */
export const readVersion = (file: StoreFile): number | undefined => {
  const first = new Uint8Array(1);
  return file.read(first, 0, 1, 0) === 1 ? (first[0] as number) : undefined;
};

/** @throws OperationalError `store_version_unsupported`, or what reading the file throws */
export const scanStore = (
  file: StoreFile,
  visit: (record: StoreRecord) => void,
  options: ScanOptions = {},
): ScanEnd => {
  const version = readVersion(file);
  if (version === undefined) {
    return { end: 0, records: 0, deleted: 0, malformed: 0, reason: 'end_of_file', version: 0 };
  }
  requireVersion(version, 'this gossip_store');
  const start = options.from === undefined ? FIRST_RECORD_POSITION : options.from - RECORD_HEADER_BYTES;
  const limit = file.size();
  const walker = new RecordWalker(file, start, new Uint8Array(SCAN_BUFFER_BYTES), options.includeDeleted);
  let [records, deleted, malformed] = [0, 0, 0];
  let uuid: Uint8Array | undefined;
  for (;;) {
    const step = walker.step(limit);
    switch (step) {
      case 'live': {
        const { type, bytes, at } = walker.record;
        if (type === GOSSIP_STORE_UUID && uuid === undefined) {
          const uuidAt = storeUuidAt(bytes, at);
          uuid = own(bytes.subarray(uuidAt, uuidAt + UUID_BYTES));
        }
        records++;
        visit(walker.record);
        continue;
      }
      case 'deleted':
        deleted++;
        if (options.includeDeleted === true) visit(walker.record);
        continue;
      case 'malformed':
        malformed++;
        continue;
      case 'end_of_file':
      case 'incomplete_record':
      case 'torn_header':
      case 'torn_record':
      case 'bad_checksum':
      case 'bad_length': {
        const end = { end: walker.position, records, deleted, malformed, reason: step, version };
        return uuid === undefined ? end : { ...end, uuid };
      }
    }
  }
};
