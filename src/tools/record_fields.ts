/**
 * The fields of a record for JSON and for people, under their names in the BOLTs, as dump and tail print them.
 *
 * Handed a record whose checksum and structure are right (but for type 0: a deleted one that cannot be opened). What is
 * 64 bits wide is a number, exact up to 2^53. Text that comes from others (aliases, host names) is made printable.
 */
import { toHex } from '../base/bytes.ts';
import { nodeIdAt } from '../base/node_id.ts';
import { scidText } from '../base/short_channel_id.ts';
import { FLAG_PUSH, FLAG_RATELIMIT, FLAG_ZOMBIE, type StoreFormat } from '../store/versions.ts';
import { formatAddress } from '../wire/address_descriptor.ts';
import {
  channelAnnouncementBitcoinKey1At,
  channelAnnouncementBitcoinKey2At,
  channelAnnouncementChainHashAt,
  channelAnnouncementFeatureBytes,
  channelAnnouncementNodeId1At,
  channelAnnouncementNodeId2At,
  channelAnnouncementScidHi,
  channelAnnouncementScidLo,
} from '../wire/channel_announcement.ts';
import {
  CHANNEL_UPDATE_MIN_BYTES,
  channelUpdateChannelFlags,
  channelUpdateCltvExpiryDelta,
  channelUpdateDirection,
  channelUpdateFeeBaseMsat,
  channelUpdateFeeProportionalMillionths,
  channelUpdateHtlcMaximumMsat,
  channelUpdateHtlcMinimumMsat,
  channelUpdateIsDisabled,
  channelUpdateMessageFlags,
  channelUpdateScidHi,
  channelUpdateScidLo,
} from '../wire/channel_update.ts';
import {
  chanDyingDeadline,
  chanDyingScidHi,
  chanDyingScidLo,
  channelAmountSatoshis,
  deleteChanScidHi,
  deleteChanScidLo,
  endedEquivalentOffset,
  endedUuidAt,
  storeUuidAt,
} from '../wire/gossip_store_messages.ts';
import { MESSAGE_TYPE, messageTypeName } from '../wire/message_types.ts';
import {
  nodeAnnouncementAddresses,
  nodeAnnouncementAlias,
  nodeAnnouncementColor,
  nodeAnnouncementFeatureBytes,
  nodeAnnouncementNodeIdAt,
} from '../wire/node_announcement.ts';
import { OBSOLETE_TYPE, wrappedAt, wrappedLength, wrappedSatoshis } from '../wire/obsolete_store_messages.ts';
import {
  FLAG_COMPLETED,
  FLAG_DELETED,
  FLAG_DYING,
  GOSSIP_STORE_CHAN_DYING,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  GOSSIP_STORE_DELETE_CHAN,
  GOSSIP_STORE_ENDED,
  GOSSIP_STORE_UUID,
  type StoreRecord,
} from '../wire/store_record.ts';

export type Fields = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** A message by its place; a record is one. */
export type Message = Pick<StoreRecord, 'bytes' | 'at' | 'length' | 'type'>;

const STORE_TYPE_NAMES: Readonly<Record<number, string>> = {
  [GOSSIP_STORE_CHANNEL_AMOUNT]: 'gossip_store_channel_amount',
  [GOSSIP_STORE_DELETE_CHAN]: 'gossip_store_delete_chan',
  [GOSSIP_STORE_ENDED]: 'gossip_store_ended',
  [GOSSIP_STORE_CHAN_DYING]: 'gossip_store_chan_dying',
  [GOSSIP_STORE_UUID]: 'gossip_store_uuid',
  [OBSOLETE_TYPE.local_add_channel]: 'gossipd_local_add_channel',
  [OBSOLETE_TYPE.wrapped_channel_announcement]: 'gossip_store_channel_announcement',
  [OBSOLETE_TYPE.wrapped_channel_update]: 'gossip_store_channel_update',
  [OBSOLETE_TYPE.wrapped_node_announcement]: 'gossip_store_node_announcement',
  [OBSOLETE_TYPE.wrapped_channel_delete]: 'gossip_store_channel_delete',
  [OBSOLETE_TYPE.wrapped_local_add_channel]: 'gossip_store_local_add_channel',
  [OBSOLETE_TYPE.private_update]: 'gossip_store_private_update',
  [OBSOLETE_TYPE.private_channel]: 'gossip_store_private_channel',
};

/** As in CLN's source, or as in the BOLTs. */
export const recordTypeName = (type: number): string => STORE_TYPE_NAMES[type] ?? messageTypeName(type);

const LAST_PUSH_VERSION = 13;
const [FIRST_RATELIMIT_VERSION, LAST_RATELIMIT_VERSION] = [10, 13];

/** Names of the flags as that version means them. */
export const flagNames = (flags: number, format: StoreFormat): string[] => {
  const { version, hasCompleted } = format;
  const isLimited = version >= FIRST_RATELIMIT_VERSION && version <= LAST_RATELIMIT_VERSION;
  return [
    ...(flags & FLAG_DELETED ? ['DELETED'] : []),
    ...(hasCompleted && (flags & FLAG_COMPLETED) === 0 ? ['INCOMPLETE'] : []),
    ...(flags & FLAG_PUSH && version <= LAST_PUSH_VERSION ? ['PUSH'] : []),
    ...(flags & FLAG_RATELIMIT && isLimited ? ['RATELIMIT'] : []),
    ...(flags & FLAG_ZOMBIE && version <= LAST_RATELIMIT_VERSION ? ['ZOMBIE'] : []),
    ...(flags & FLAG_DYING ? ['DYING'] : []),
  ];
};

const channelAnnouncementFields = ({ bytes, at }: Message): Fields => ({
  short_channel_id: scidText(channelAnnouncementScidHi(bytes, at), channelAnnouncementScidLo(bytes, at)),
  node_id_1: nodeIdAt(bytes, channelAnnouncementNodeId1At(bytes, at)),
  node_id_2: nodeIdAt(bytes, channelAnnouncementNodeId2At(bytes, at)),
});

const channelUpdateFields = ({ bytes, at, length }: Message): Fields => ({
  short_channel_id: scidText(channelUpdateScidHi(bytes, at), channelUpdateScidLo(bytes, at)),
  direction: channelUpdateDirection(bytes, at),
  disabled: channelUpdateIsDisabled(bytes, at),
  cltv_expiry_delta: channelUpdateCltvExpiryDelta(bytes, at),
  htlc_minimum_msat: channelUpdateHtlcMinimumMsat(bytes, at),
  // Versions up to 10 have updates without it.
  ...(length < CHANNEL_UPDATE_MIN_BYTES
    ? {}
    : { htlc_maximum_msat: channelUpdateHtlcMaximumMsat(bytes, at) }),
  fee_base_msat: channelUpdateFeeBaseMsat(bytes, at),
  fee_proportional_millionths: channelUpdateFeeProportionalMillionths(bytes, at),
});

const wrappedFields = ({ bytes, at }: Message, type: number): Fields =>
  messageFields({ bytes, at: wrappedAt(bytes, at), length: wrappedLength(bytes, at), type });

/** What the message says, in short. */
export const messageFields = (message: Message): Fields => {
  const { bytes, at, length, type } = message;
  switch (type) {
    case MESSAGE_TYPE.channel_announcement:
      return channelAnnouncementFields(message);
    case MESSAGE_TYPE.node_announcement:
      return {
        node_id: nodeIdAt(bytes, nodeAnnouncementNodeIdAt(bytes, at)),
        alias: nodeAnnouncementAlias(bytes, at),
      };
    case MESSAGE_TYPE.channel_update:
      return channelUpdateFields(message);
    case GOSSIP_STORE_CHANNEL_AMOUNT:
      return { satoshis: channelAmountSatoshis(bytes, at) };
    case OBSOLETE_TYPE.wrapped_channel_delete:
    case OBSOLETE_TYPE.local_add_channel:
    case GOSSIP_STORE_DELETE_CHAN:
      return { short_channel_id: scidText(deleteChanScidHi(bytes, at), deleteChanScidLo(bytes, at)) };
    case GOSSIP_STORE_CHAN_DYING:
      return {
        short_channel_id: scidText(chanDyingScidHi(bytes, at), chanDyingScidLo(bytes, at)),
        deadline: chanDyingDeadline(bytes, at),
      };
    case GOSSIP_STORE_UUID:
      return { uuid: toHex(bytes, storeUuidAt(bytes, at), storeUuidAt(bytes, at) + 32) };
    case GOSSIP_STORE_ENDED: {
      const uuid = endedUuidAt(bytes, at, length);
      return {
        equivalent_offset: endedEquivalentOffset(bytes, at),
        ...(uuid === undefined ? {} : { uuid: toHex(bytes, uuid, uuid + 32) }),
      };
    }
    case OBSOLETE_TYPE.wrapped_channel_announcement:
      return {
        ...wrappedFields(message, MESSAGE_TYPE.channel_announcement),
        satoshis: Number(wrappedSatoshis(bytes, at)),
      };
    case OBSOLETE_TYPE.wrapped_node_announcement:
      return wrappedFields(message, MESSAGE_TYPE.node_announcement);
    case OBSOLETE_TYPE.wrapped_channel_update:
    case OBSOLETE_TYPE.private_update:
      return wrappedFields(message, MESSAGE_TYPE.channel_update);
    default:
      return {};
  }
};

/** What the gossip message says, in full but for signatures. */
export const allMessageFields = (message: Message): Fields => {
  const { bytes, at, type } = message;
  switch (type) {
    case MESSAGE_TYPE.channel_announcement: {
      // type, four signatures, u16 length
      const features = at + 260;
      const chain = channelAnnouncementChainHashAt(bytes, at);
      return {
        features: toHex(bytes, features, features + channelAnnouncementFeatureBytes(bytes, at)),
        chain_hash: toHex(bytes, chain, chain + 32),
        ...channelAnnouncementFields(message),
        bitcoin_key_1: nodeIdAt(bytes, channelAnnouncementBitcoinKey1At(bytes, at)),
        bitcoin_key_2: nodeIdAt(bytes, channelAnnouncementBitcoinKey2At(bytes, at)),
      };
    }
    case MESSAGE_TYPE.channel_update:
      return {
        ...channelUpdateFields(message),
        message_flags: channelUpdateMessageFlags(bytes, at),
        channel_flags: channelUpdateChannelFlags(bytes, at),
      };
    case MESSAGE_TYPE.node_announcement: {
      // type, signature, u16 length
      const features = at + 68;
      return {
        ...messageFields(message),
        rgb_color: nodeAnnouncementColor(bytes, at),
        features: toHex(bytes, features, features + nodeAnnouncementFeatureBytes(bytes, at)),
        addresses: nodeAnnouncementAddresses(bytes, at).addresses.map(formatAddress),
      };
    }
    default:
      return messageFields(message);
  }
};

/** `key=value` for people. */
export const fieldText = (fields: Fields): string[] =>
  Object.entries(fields).map(
    ([key, value]) => `${key}=${Array.isArray(value) ? value.join(',') : String(value)}`,
  );
