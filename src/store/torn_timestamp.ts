/**
 * Recognises an announcement whose header was being given its timestamp when the power went.
 *
 * The first update of a channel sets crc and timestamp in the announcement's header, eight bytes that a power cut can leave
 * half old, half new; the record then fails its checksum in the middle of a file that is otherwise sound. load.ts asks
 * here before it gives such a record up. The proof: the amount behind it is sound, so its length is right; and each of the
 * eight bytes is either what timestamp 0 gives or what the timestamp of the channel's first update gives. A message that
 * changed itself would have to agree in all eight, by chance 1 in 2^28 or less. That update is durable, because the
 * writer sets the timestamp only after it is. Reads forward through the file: rare, and linear.
 */
import { readU16, readU32, writeU32 } from '../base/bytes.ts';
import { channelAnnouncementScidHi, channelAnnouncementScidLo } from '../wire/channel_announcement.ts';
import { channelUpdateScidHi, channelUpdateScidLo, channelUpdateTimestamp } from '../wire/channel_update.ts';
import { crc32c } from '../wire/crc32c.ts';
import { CHANNEL_AMOUNT_BYTES, checkStoreMessage } from '../wire/gossip_store_messages.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import {
  FLAG_COMPLETED,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  RECORD_HEADER_BYTES,
  type StoreRecord,
} from '../wire/store_record.ts';
import { AMOUNT_RECORD_BYTES, headerFlags, headerLength } from './format.ts';
import type { StoreFile } from './store_file.ts';
import { MIN_WALK_BUFFER_BYTES, RecordWalker } from './walker.ts';

const isSoundAmount = (bytes: Uint8Array, at: number): boolean => {
  const message = at + RECORD_HEADER_BYTES;
  return (
    (headerFlags(bytes, at) & FLAG_COMPLETED) !== 0 &&
    headerLength(bytes, at) === CHANNEL_AMOUNT_BYTES &&
    readU16(bytes, message) === GOSSIP_STORE_CHANNEL_AMOUNT &&
    crc32c(readU32(bytes, at + 8), bytes, message, message + CHANNEL_AMOUNT_BYTES) === readU32(bytes, at + 4)
  );
};

/** Timestamp of the first update of a channel at or after `position`, deleted ones included. */
const firstUpdateTimestamp = (
  file: StoreFile,
  position: number,
  limit: number,
  hi: number,
  lo: number,
): number | undefined => {
  const walker = new RecordWalker(file, position, new Uint8Array(MIN_WALK_BUFFER_BYTES), true);
  for (;;) {
    const step = walker.step(limit);
    const { record } = walker;
    if (step === 'live' || step === 'deleted') {
      if (record.type !== MESSAGE_TYPE.channel_update) continue;
      if (channelUpdateScidHi(record.bytes, record.at) !== hi) continue;
      if (channelUpdateScidLo(record.bytes, record.at) !== lo) continue;
      return channelUpdateTimestamp(record.bytes, record.at);
    }
    if (step === 'malformed') continue;
    // Another announcement that was torn in the same instant.
    if (step !== 'bad_checksum' || record.type !== MESSAGE_TYPE.channel_announcement) return undefined;
    walker.skipBadRecord();
  }
};

/**
 * The timestamp that the announcement was being given; undefined if the record is damaged in another way.
 *
 * @param record fails its checksum; the 22 bytes behind its message are in its array
 */
export const tornTimestamp = (file: StoreFile, record: StoreRecord, limit: number): number | undefined => {
  const { bytes, at, length } = record;
  if (record.type !== MESSAGE_TYPE.channel_announcement) return undefined;
  if (checkStoreMessage(bytes, at, length) !== undefined) return undefined;
  if (record.offset + length + AMOUNT_RECORD_BYTES > limit || !isSoundAmount(bytes, at + length))
    return undefined;
  const timestamp = firstUpdateTimestamp(
    file,
    record.offset + length,
    limit,
    channelAnnouncementScidHi(bytes, at),
    channelAnnouncementScidLo(bytes, at),
  );
  if (timestamp === undefined) return undefined;
  const before = new Uint8Array(8);
  writeU32(before, 0, crc32c(0, bytes, at, at + length));
  const after = new Uint8Array(8);
  writeU32(after, 0, crc32c(timestamp, bytes, at, at + length));
  writeU32(after, 4, timestamp);
  const stored = at - RECORD_HEADER_BYTES + 4;
  for (let index = 0; index < 8; index++) {
    const byte = bytes[stored + index];
    if (byte !== before[index] && byte !== after[index]) return undefined;
  }
  return timestamp;
};
