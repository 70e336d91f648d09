/**
 * Messages that exist only in a gossip_store, and the structural check that every record of a store must pass.
 *
 * The writer encodes them; the scan, the graph and followers read them by offset. Layout after the u16 type, big-endian:
 * 4101 channel_amount: u64 satoshi. 4103 delete_chan: scid. 4105 ended: u64 equivalent offset, from version 16 on with a
 * 32-byte uuid. 4106 chan_dying: scid, u32 deadline in blocks. 4107 uuid: 32 bytes.
 *
 * `checkStoreMessage` is the gate: readers of CLN abort on records with a good checksum and a malformed message (lightningd
 * v24.02 to v26.06), so a file of ours never publishes one, and one that is found at load is left out.
 */
import { MAX_SAT } from '../base/amount.ts';
import {
  compareBytes,
  readU16,
  readU32,
  readU64AsNumber,
  writeU16,
  writeU32,
  writeU64,
} from '../base/bytes.ts';
import { assert } from '../base/errors.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';
import {
  channelAnnouncementNodeId1At,
  channelAnnouncementNodeId2At,
  checkChannelAnnouncement,
} from './channel_announcement.ts';
import { checkChannelUpdate } from './channel_update.ts';
import type { WireFaultKind } from './fault.ts';
import { fixedBytes } from './fixed_field.ts';
import { MESSAGE_TYPE } from './message_types.ts';
import { checkNodeAnnouncement } from './node_announcement.ts';
import {
  GOSSIP_STORE_CHAN_DYING,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  GOSSIP_STORE_DELETE_CHAN,
  GOSSIP_STORE_ENDED,
  GOSSIP_STORE_UUID,
} from './store_record.ts';

export const CHANNEL_AMOUNT_BYTES = 10;
export const DELETE_CHAN_BYTES = 10;
export const CHAN_DYING_BYTES = 14;
export const STORE_UUID_BYTES = 34;
/** Version 15 and earlier. */
export const ENDED_BYTES = 10;
/** Version 16: with the uuid of the file that follows. */
export const ENDED_WITH_UUID_BYTES = 42;

/**
 * Exact as a double (2.1e15 < 2^53). Above it lies CLN's own limit of 2^64 / 1000 satoshi, at which its readers exit, so
 * one comparison covers both.
 */
const MAX_AMOUNT_SATOSHIS = Number(MAX_SAT);

const message = (type: number, length: number): Uint8Array => {
  const bytes = new Uint8Array(length);
  writeU16(bytes, 0, type);
  return bytes;
};

/** 10 bytes. Throws Bug above 21 million bitcoin. 0 says that nobody has verified the output. */
export const encodeChannelAmount = (satoshis: bigint): Uint8Array => {
  assert(satoshis >= 0n && satoshis <= MAX_SAT, `a channel cannot hold ${satoshis} satoshi`);
  const bytes = message(GOSSIP_STORE_CHANNEL_AMOUNT, CHANNEL_AMOUNT_BYTES);
  writeU64(bytes, 2, satoshis);
  return bytes;
};

/** 10 bytes. @param hi @param lo halves of the short_channel_id */
export const encodeDeleteChan = (hi: number, lo: number): Uint8Array => {
  const bytes = message(GOSSIP_STORE_DELETE_CHAN, DELETE_CHAN_BYTES);
  writeU32(bytes, 2, hi);
  writeU32(bytes, 6, lo);
  return bytes;
};

/** 14 bytes. @param deadline block height at which the channel is to be removed, not the one of the spend */
export const encodeChanDying = (hi: number, lo: number, deadline: number): Uint8Array => {
  const bytes = message(GOSSIP_STORE_CHAN_DYING, CHAN_DYING_BYTES);
  writeU32(bytes, 2, hi);
  writeU32(bytes, 6, lo);
  writeU32(bytes, 10, deadline);
  return bytes;
};

/** 34 bytes: the first record of a version 16 file. @param uuid 32 bytes; Bug otherwise */
export const encodeUuid = (uuid: Uint8Array): Uint8Array => {
  const bytes = message(GOSSIP_STORE_UUID, STORE_UUID_BYTES);
  bytes.set(fixedBytes('uuid', uuid, 32), 2);
  return bytes;
};

/**
 * The last record of a superseded file: 42 bytes with the uuid of its successor, 10 (version 15) without.
 *
 * @param equivalentOffset where in the successor a reader that had read everything goes on
 */
export const encodeEnded = (equivalentOffset: bigint, uuid?: Uint8Array): Uint8Array => {
  const bytes = message(GOSSIP_STORE_ENDED, uuid === undefined ? ENDED_BYTES : ENDED_WITH_UUID_BYTES);
  writeU64(bytes, 2, equivalentOffset);
  if (uuid !== undefined) bytes.set(fixedBytes('uuid', uuid, 32), 10);
  return bytes;
};

/** Satoshi; exact for every amount that passes the check. */
export const channelAmountSatoshis = (bytes: Uint8Array, at: number): number =>
  readU64AsNumber(bytes, at + 2);

/** Upper half of the short_channel_id, unsigned. */
export const deleteChanScidHi = (bytes: Uint8Array, at: number): number => readU32(bytes, at + 2);

/** Lower half of the short_channel_id, unsigned. */
export const deleteChanScidLo = (bytes: Uint8Array, at: number): number => readU32(bytes, at + 6);

/** Upper half of the short_channel_id, unsigned. */
export const chanDyingScidHi = (bytes: Uint8Array, at: number): number => readU32(bytes, at + 2);

/** Lower half of the short_channel_id, unsigned. */
export const chanDyingScidLo = (bytes: Uint8Array, at: number): number => readU32(bytes, at + 6);

/** Block height at which the channel is to be removed. */
export const chanDyingDeadline = (bytes: Uint8Array, at: number): number => readU32(bytes, at + 10);

/** Absolute index of the 32 bytes. */
export const storeUuidAt = (_bytes: Uint8Array, at: number): number => at + 2;

/** Where reading goes on in the successor; exact up to 2^53. */
export const endedEquivalentOffset = (bytes: Uint8Array, at: number): number =>
  readU64AsNumber(bytes, at + 2);

/** Absolute index of the 32 bytes in the 42-byte form; undefined in the 10-byte form. */
export const endedUuidAt = (_bytes: Uint8Array, at: number, length: number): number | undefined =>
  length < ENDED_WITH_UUID_BYTES ? undefined : at + 10;

const exactly = (length: number, wanted: number): WireFaultKind | undefined =>
  length === wanted ? undefined : length < wanted ? 'too_short' : 'bad_array_length';

const checkStoredAnnouncement = (
  bytes: Uint8Array,
  at: number,
  length: number,
): WireFaultKind | undefined => {
  const fault = checkChannelAnnouncement(bytes, at, length);
  if (fault !== undefined) return fault;
  const first = channelAnnouncementNodeId1At(bytes, at);
  const second = channelAnnouncementNodeId2At(bytes, at);
  // A channel of a node with itself is no channel, and makes CLN's readers abort.
  return compareBytes(bytes, first, bytes, second, NODE_ID_BYTES) === 0 ? 'same_node_ids' : undefined;
};

const checkChannelAmount = (bytes: Uint8Array, at: number, length: number): WireFaultKind | undefined =>
  exactly(length, CHANNEL_AMOUNT_BYTES) ??
  (channelAmountSatoshis(bytes, at) > MAX_AMOUNT_SATOSHIS ? 'amount_out_of_range' : undefined);

/**
 * Full structural parse of a record's message; undefined when it may stand in a store.
 *
 * too_short: fields missing. bad_array_length: a store message longer than its type allows. same_node_ids: node_id_1 equals
 * node_id_2. amount_out_of_range: an amount above 21 million bitcoin. unknown_record_type: none of the eight types of version 16.
 *
 * @param at index of the type in `bytes`
 * @param length message length as in the header; the caller vouches that so many bytes are there
 */
export const checkStoreMessage = (
  bytes: Uint8Array,
  at: number,
  length: number,
): WireFaultKind | 'unknown_record_type' | undefined => {
  if (length < 2) return 'too_short';
  switch (readU16(bytes, at)) {
    case MESSAGE_TYPE.channel_announcement:
      return checkStoredAnnouncement(bytes, at, length);
    case MESSAGE_TYPE.node_announcement:
      return checkNodeAnnouncement(bytes, at, length);
    case MESSAGE_TYPE.channel_update:
      return checkChannelUpdate(bytes, at, length);
    case GOSSIP_STORE_CHANNEL_AMOUNT:
      return checkChannelAmount(bytes, at, length);
    case GOSSIP_STORE_DELETE_CHAN:
      // Longer ones are read by everybody, who look no further than the scid.
      return length < DELETE_CHAN_BYTES ? 'too_short' : undefined;
    case GOSSIP_STORE_CHAN_DYING:
      return exactly(length, CHAN_DYING_BYTES);
    case GOSSIP_STORE_UUID:
      return exactly(length, STORE_UUID_BYTES);
    case GOSSIP_STORE_ENDED:
      return length === ENDED_BYTES ? undefined : exactly(length, ENDED_WITH_UUID_BYTES);
  }
  return 'unknown_record_type';
};
