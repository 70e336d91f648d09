/**
 * enqueue: turns what ingest accepted into records with offsets, and into marks on the records they replace.
 *
 * gossip_store calls it for each append. Record layout and order are those of CLN's writer: an announcement with header
 * timestamp 0 directly before its amount; updates and node announcements with their own timestamp; store messages with
 * 0. A record that is replaced while it waits in the same batch is flagged in memory, because both become visible at
 * the same instant; any other is marked once the new one is durable.
 */
import { readU16, readU32, writeU16 } from '../base/bytes.ts';
import { assert } from '../base/errors.ts';
import { encodeChanDying, encodeChannelAmount, encodeDeleteChan } from '../wire/gossip_store_messages.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import {
  FLAG_DELETED,
  FLAG_DYING,
  RECORD_HEADER_BYTES,
  type StoreOffset,
  type StoreRecord,
} from '../wire/store_record.ts';
import type { Accepted } from './accepted.ts';
import type { DeferredMarks } from './deferred_marks.ts';
import { AMOUNT_RECORD_BYTES, headerFlags, headerLength, writeHeader, writeRecord } from './format.ts';
import { type Batch, offsetInBatch, type PendingBatches } from './pending_batches.ts';
import { emptyRecord } from './walker.ts';

type Apply = (record: StoreRecord) => void;

const MAX_MESSAGE_BYTES = 65535;

/** Writes the record into the batch at `at` and returns it as a reader would see it. */
const put = (
  batch: Batch,
  at: number,
  flags: number,
  timestamp: number,
  message: Uint8Array,
): StoreRecord => {
  assert(message.length >= 2 && message.length <= MAX_MESSAGE_BYTES, 'a record holds 2 to 65535 bytes');
  writeRecord(batch.bytes, at, flags, timestamp, message);
  const record = emptyRecord();
  record.bytes = batch.bytes;
  record.at = at + RECORD_HEADER_BYTES;
  record.length = message.length;
  record.type = readU16(message, 0);
  record.flags = flags;
  record.timestamp = timestamp;
  record.offset = offsetInBatch(batch, record.at);
  return record;
};

const enqueueOne = (pending: PendingBatches, timestamp: number, message: Uint8Array, flags = 0) => {
  const { batch, at } = pending.reserve(RECORD_HEADER_BYTES + message.length);
  return { batch, record: put(batch, at, pending.recordFlags | flags, timestamp, message) };
};

const setFlags = (bytes: Uint8Array, header: number, flags: number): void =>
  writeU16(bytes, header, headerFlags(bytes, header) | flags);

/** Flags a record that the one just put into `batch` replaces. */
const flag = (marks: DeferredMarks, batch: Batch, end: number, offset: StoreOffset, flags: number): void => {
  if (offset <= batch.start) {
    marks.addFlags(offset, flags, end);
    return;
  }
  const message = offset - batch.start;
  const header = message - RECORD_HEADER_BYTES;
  setFlags(batch.bytes, header, flags);
  if (flags === FLAG_DELETED && readU16(batch.bytes, message) === MESSAGE_TYPE.channel_announcement) {
    setFlags(batch.bytes, message + headerLength(batch.bytes, header), flags);
  }
};

/** Gives an announcement the timestamp of its channel's first update. */
const setTimestamp = (
  pending: PendingBatches,
  marks: DeferredMarks,
  offset: StoreOffset,
  timestamp: number,
): void => {
  const batch = pending.holding(offset);
  if (batch === undefined) {
    marks.addTimestamp(offset, timestamp, pending.end);
    return;
  }
  const header = offset - batch.start - RECORD_HEADER_BYTES;
  if (readU32(batch.bytes, header + 8) !== 0) return;
  writeHeader(
    batch.bytes,
    header,
    headerFlags(batch.bytes, header),
    headerLength(batch.bytes, header),
    timestamp,
  );
};

/** Returns the message offset of the (first) new record. `apply` gets views that are borrowed until it returns. */
export const enqueue = (
  pending: PendingBatches,
  marks: DeferredMarks,
  accepted: Accepted,
  apply: Apply,
): StoreOffset => {
  switch (accepted.kind) {
    case 'channel_announcement': {
      const amount = encodeChannelAmount(accepted.satoshis);
      const announcementBytes = RECORD_HEADER_BYTES + accepted.raw.length;
      const { batch, at } = pending.reserve(announcementBytes + AMOUNT_RECORD_BYTES);
      const announcement = put(batch, at, pending.recordFlags, 0, accepted.raw);
      const amountRecord = put(batch, at + announcementBytes, pending.recordFlags, 0, amount);
      apply(announcement);
      apply(amountRecord);
      return announcement.offset;
    }
    case 'channel_update':
    case 'node_announcement': {
      const isDying = accepted.kind === 'channel_update' && accepted.isDying === true;
      const flags = isDying ? FLAG_DYING : 0;
      const { batch, record } = enqueueOne(pending, accepted.timestamp, accepted.raw, flags);
      if (accepted.replaces !== undefined) flag(marks, batch, pending.end, accepted.replaces, FLAG_DELETED);
      if (accepted.kind === 'channel_update' && accepted.announcement !== undefined) {
        setTimestamp(pending, marks, accepted.announcement, accepted.timestamp);
      }
      apply(record);
      return record.offset;
    }
    case 'delete_chan': {
      const { batch, record } = enqueueOne(pending, 0, encodeDeleteChan(accepted.scidHi, accepted.scidLo));
      for (const offset of accepted.remove) flag(marks, batch, pending.end, offset, FLAG_DELETED);
      apply(record);
      return record.offset;
    }
    case 'chan_dying': {
      const { scidHi, scidLo, deadline } = accepted;
      const { batch, record } = enqueueOne(pending, 0, encodeChanDying(scidHi, scidLo, deadline));
      for (const offset of accepted.mark) flag(marks, batch, pending.end, offset, FLAG_DYING);
      if (accepted.replaces !== undefined) flag(marks, batch, pending.end, accepted.replaces, FLAG_DELETED);
      apply(record);
      return record.offset;
    }
  }
};
