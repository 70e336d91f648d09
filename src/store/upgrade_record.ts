/**
 * upgradeRecord: what a live record of any readable version becomes in a file of version 14, 15 or 16.
 *
 * Rewriting, repair and conversion hand it one sound record after another and write what it emits. It follows what CLN's
 * own upgrades do, with three differences: private channels are dropped without being passed on to anybody, end markers
 * and the file's own uuid never come along, and flag bits that mean nothing in the target are cleared. Messages of gossip
 * are never changed. Order is kept; whether an announcement still has its amount is for the caller to see.
 */
import { readU16, writeU16, writeU64 } from '../base/bytes.ts';
import { CHANNEL_UPDATE_MIN_BYTES, channelUpdateTimestamp } from '../wire/channel_update.ts';
import { CHANNEL_AMOUNT_BYTES } from '../wire/gossip_store_messages.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import { nodeAnnouncementTimestamp } from '../wire/node_announcement.ts';
import { OBSOLETE_TYPE, wrappedAt, wrappedLength, wrappedSatoshis } from '../wire/obsolete_store_messages.ts';
import {
  FLAG_COMPLETED,
  FLAG_DYING,
  GOSSIP_STORE_CHAN_DYING,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  GOSSIP_STORE_DELETE_CHAN,
  type StoreRecord,
} from '../wire/store_record.ts';
import { FLAG_ZOMBIE, type StoreFormat, storeFormat, type WritableVersion } from './versions.ts';

/** @param message borrowed until it returns */
export type EmitRecord = (message: Uint8Array, timestamp: number, flags: number) => void;

/**
 * `private`: a channel of the node itself, never announced. `short_update`: an update without htlc_maximum_msat. `zombie`: kept
 * by CLN only to be revived. `internal`: means something only in its own file, or nothing at all.
 */
export type Upgraded = 'kept' | 'private' | 'short_update' | 'zombie' | 'internal';

/** The last version whose updates may lack htlc_maximum_msat, or end inside it, which readers of later ones cannot parse. */
const LAST_SHORT_UPDATE_VERSION = 10;

/** What the header says; where headers have no timestamp, what the message says of itself. */
const timestampOf = (from: StoreFormat, message: Uint8Array, timestamp: number): number => {
  if (from.headerBytes === 12) return timestamp;
  const type = readU16(message, 0);
  if (type === MESSAGE_TYPE.channel_update) return channelUpdateTimestamp(message, 0);
  if (type === MESSAGE_TYPE.node_announcement) return nodeAnnouncementTimestamp(message, 0);
  return 0;
};

const amountMessage = (satoshis: bigint): Uint8Array => {
  const message = new Uint8Array(CHANNEL_AMOUNT_BYTES);
  writeU16(message, 0, GOSSIP_STORE_CHANNEL_AMOUNT);
  writeU64(message, 2, satoshis);
  return message;
};

/** The records of version 3, whose messages are wrapped. */
const unwrap = (record: StoreRecord, from: StoreFormat, flags: number, emit: EmitRecord): Upgraded => {
  const { bytes, at, length, type } = record;
  if (type === OBSOLETE_TYPE.wrapped_channel_delete) {
    const message = bytes.slice(at, at + length);
    writeU16(message, 0, GOSSIP_STORE_DELETE_CHAN);
    emit(message, 0, flags);
    return 'kept';
  }
  const start = wrappedAt(bytes, at);
  const message = bytes.subarray(start, start + wrappedLength(bytes, at));
  if (type === OBSOLETE_TYPE.wrapped_channel_update && message.length < CHANNEL_UPDATE_MIN_BYTES)
    return 'short_update';
  emit(message, timestampOf(from, message, 0), flags);
  if (type === OBSOLETE_TYPE.wrapped_channel_announcement)
    emit(amountMessage(wrappedSatoshis(bytes, at)), 0, flags);
  return 'kept';
};

/**
 * Hands what the record becomes to `emit`, in order: nothing, one record, or (version 3) an announcement and its amount.
 *
 * @param record not DELETED, and well formed by `checkMessageFor(from, ...)`
 */
export const upgradeRecord = (
  record: StoreRecord,
  from: StoreFormat,
  target: WritableVersion,
  emit: EmitRecord,
): Upgraded => {
  const { bytes, at, length, type } = record;
  const completed = storeFormat(target)?.hasCompleted === true ? FLAG_COMPLETED : 0;
  const flags = (record.flags & from.flags & FLAG_DYING) | completed;
  switch (type) {
    case OBSOLETE_TYPE.local_add_channel:
    case OBSOLETE_TYPE.wrapped_local_add_channel:
    case OBSOLETE_TYPE.private_update:
    case OBSOLETE_TYPE.private_channel:
      return 'private';
    case OBSOLETE_TYPE.wrapped_channel_announcement:
    case OBSOLETE_TYPE.wrapped_channel_update:
    case OBSOLETE_TYPE.wrapped_node_announcement:
    case OBSOLETE_TYPE.wrapped_channel_delete:
      return unwrap(record, from, flags, emit);
    case MESSAGE_TYPE.channel_announcement:
    case MESSAGE_TYPE.node_announcement:
    case MESSAGE_TYPE.channel_update:
    case GOSSIP_STORE_CHANNEL_AMOUNT:
    case GOSSIP_STORE_DELETE_CHAN:
    case GOSSIP_STORE_CHAN_DYING: {
      // The bit means this in versions 12 and 13 only.
      if ((record.flags & from.flags & FLAG_ZOMBIE) !== 0) return 'zombie';
      const isShort = type === MESSAGE_TYPE.channel_update && length < CHANNEL_UPDATE_MIN_BYTES;
      if (isShort && from.version <= LAST_SHORT_UPDATE_VERSION) return 'short_update';
      const message = bytes.subarray(at, at + length);
      emit(message, timestampOf(from, message, record.timestamp), flags);
      return 'kept';
    }
  }
  return 'internal';
};
