/**
 * Reading one message from the file by its offset.
 *
 * gossip_store calls it for queries and for followers that keep offsets instead of bytes. Header and message are fetched with
 * one read where the message has at most READ_AHEAD_BYTES, which most announcements and all plain updates do.
 */
import { readU32 } from '../base/bytes.ts';
import { crc32c } from '../wire/crc32c.ts';
import { FLAG_COMPLETED, FLAG_DELETED, RECORD_HEADER_BYTES, type StoreOffset } from '../wire/store_record.ts';
import { headerFlags, headerLength } from './format.ts';
import type { StoreFile } from './store_file.ts';

const READ_AHEAD_BYTES = 512;
/** Used anew by every call: nothing of it is handed out. */
const scratch = new Uint8Array(RECORD_HEADER_BYTES + READ_AHEAD_BYTES);

/**
 * A fresh copy of the live message at `offset`; undefined if it is deleted or not complete; `bad_checksum` if it is damaged
 * or no message starts there. Throws what reading the file throws.
 */
export const readMessageAt = (
  file: StoreFile,
  offset: StoreOffset,
  hasCompleted = true,
): Uint8Array | 'bad_checksum' | undefined => {
  const got = file.read(scratch, 0, scratch.length, offset - RECORD_HEADER_BYTES);
  if (got < RECORD_HEADER_BYTES) return undefined;
  const flags = headerFlags(scratch, 0);
  if ((hasCompleted && (flags & FLAG_COMPLETED) === 0) || (flags & FLAG_DELETED) !== 0) return undefined;
  const length = headerLength(scratch, 0);
  const crc = readU32(scratch, 4);
  const timestamp = readU32(scratch, 8);
  let message: Uint8Array;
  if (RECORD_HEADER_BYTES + length <= got) {
    message = scratch.slice(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + length);
  } else {
    message = new Uint8Array(length);
    if (file.read(message, 0, length, offset) !== length) return undefined;
  }
  return crc32c(timestamp, message, 0, length) === crc ? message : 'bad_checksum';
};
