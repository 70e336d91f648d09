/**
 * Record types that no current gossip_store has: the wrapped messages of versions 1 to 3, and private channels up to
 * version 12. Read to upgrade old files; never written.
 *
 * Layout after the u16 type, big-endian. 3503 local_add_channel: scid, node_id 33, u64 satoshi, then from version 8 on u16
 * length and features. 4096 channel_announcement: u16 length, message, u64 satoshi. 4097 channel_update, 4098
 * node_announcement, 4100 local_add_channel, 4102 private_update: u16 length, message. 4099 channel_delete: scid. 4104
 * private_channel: u64 satoshi, u16 length, channel_announcement with zero signatures.
 * The accessors read by offset and assume that `checkObsoleteMessage` has passed.
 */
import { MAX_SAT } from '../base/amount.ts';
import { readU16, readU64 } from '../base/bytes.ts';
import { checkChannelAnnouncement } from './channel_announcement.ts';
import type { WireFaultKind } from './fault.ts';
import { MESSAGE_TYPE } from './message_types.ts';
import { checkNodeAnnouncement } from './node_announcement.ts';

export const OBSOLETE_TYPE = {
  local_add_channel: 3503,
  wrapped_channel_announcement: 4096,
  wrapped_channel_update: 4097,
  wrapped_node_announcement: 4098,
  wrapped_channel_delete: 4099,
  wrapped_local_add_channel: 4100,
  private_update: 4102,
  private_channel: 4104,
} as const;

/** The channel_update without htlc_maximum_msat, which files up to version 10 hold. */
export const SHORT_CHANNEL_UPDATE_BYTES = 130;

const WRAPPED_FROM = 4;
const PRIVATE_CHANNEL_FROM = 12;
/** 2 type + 8 scid + 33 node_id + 8 satoshi. */
const LOCAL_ADD_CHANNEL_BYTES = 51;
const CHANNEL_DELETE_BYTES = 10;
const AMOUNT_BYTES = 8;

/** Absolute index of the message inside 4096 to 4098, 4100 and 4102. */
export const wrappedAt = (_bytes: Uint8Array, at: number): number => at + WRAPPED_FROM;

/** Length of the message inside 4096 to 4098, 4100 and 4102. */
export const wrappedLength = (bytes: Uint8Array, at: number): number => readU16(bytes, at + 2);

/** Satoshi of a 4096. */
export const wrappedSatoshis = (bytes: Uint8Array, at: number): bigint =>
  readU64(bytes, at + WRAPPED_FROM + wrappedLength(bytes, at));

/** Absolute index of the channel_announcement inside a 4104. */
export const privateChannelAnnouncementAt = (_bytes: Uint8Array, at: number): number =>
  at + PRIVATE_CHANNEL_FROM;

/** Length of the channel_announcement inside a 4104. */
export const privateChannelAnnouncementLength = (bytes: Uint8Array, at: number): number =>
  readU16(bytes, at + 10);

const exactly = (length: number, wanted: number): WireFaultKind | undefined =>
  length === wanted ? undefined : length < wanted ? 'too_short' : 'bad_array_length';

/** An update in either form: with htlc_maximum_msat, and anything behind it, or without. */
export const checkOldChannelUpdate = (length: number): WireFaultKind | undefined =>
  length < SHORT_CHANNEL_UPDATE_BYTES ? 'too_short' : undefined;

/** That a message of the wanted type lies at `at + from` and fits its own fields; `behind` bytes follow it. */
const checkInner = (
  bytes: Uint8Array,
  at: number,
  length: number,
  from: number,
  behind: number,
  wanted: number,
): WireFaultKind | undefined => {
  if (length < from) return 'too_short';
  const inner = readU16(bytes, at + from - 2);
  const fault = exactly(length, from + inner + behind);
  if (fault !== undefined) return fault;
  if (inner < 2) return 'too_short';
  if (readU16(bytes, at + from) !== wanted) return 'bad_encoding';
  if (wanted === MESSAGE_TYPE.channel_announcement) return checkChannelAnnouncement(bytes, at + from, inner);
  if (wanted === MESSAGE_TYPE.node_announcement) return checkNodeAnnouncement(bytes, at + from, inner);
  return checkOldChannelUpdate(inner);
};

/**
 * Full structural parse; undefined when the message is well formed, unknown_record_type when it is of none of these types.
 *
 * @param at index of the type in `bytes`
 * @param length at least 2; the caller vouches that so many bytes are there
 */
export const checkObsoleteMessage = (
  bytes: Uint8Array,
  at: number,
  length: number,
): WireFaultKind | 'unknown_record_type' | undefined => {
  switch (readU16(bytes, at)) {
    case OBSOLETE_TYPE.local_add_channel: {
      if (length <= LOCAL_ADD_CHANNEL_BYTES) return exactly(length, LOCAL_ADD_CHANNEL_BYTES);
      if (length < LOCAL_ADD_CHANNEL_BYTES + 2) return 'too_short';
      return exactly(length, LOCAL_ADD_CHANNEL_BYTES + 2 + readU16(bytes, at + LOCAL_ADD_CHANNEL_BYTES));
    }
    case OBSOLETE_TYPE.wrapped_channel_announcement:
      return (
        checkInner(bytes, at, length, WRAPPED_FROM, AMOUNT_BYTES, MESSAGE_TYPE.channel_announcement) ??
        (wrappedSatoshis(bytes, at) > MAX_SAT ? 'amount_out_of_range' : undefined)
      );
    case OBSOLETE_TYPE.wrapped_channel_update:
    case OBSOLETE_TYPE.private_update:
      return checkInner(bytes, at, length, WRAPPED_FROM, 0, MESSAGE_TYPE.channel_update);
    case OBSOLETE_TYPE.wrapped_node_announcement:
      return checkInner(bytes, at, length, WRAPPED_FROM, 0, MESSAGE_TYPE.node_announcement);
    case OBSOLETE_TYPE.wrapped_channel_delete:
      return exactly(length, CHANNEL_DELETE_BYTES);
    case OBSOLETE_TYPE.wrapped_local_add_channel:
      return length < WRAPPED_FROM ? 'too_short' : exactly(length, WRAPPED_FROM + readU16(bytes, at + 2));
    case OBSOLETE_TYPE.private_channel:
      return checkInner(bytes, at, length, PRIVATE_CHANNEL_FROM, 0, MESSAGE_TYPE.channel_announcement);
  }
  return 'unknown_record_type';
};
