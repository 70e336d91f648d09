/**
 * One door for every message that a peer sends: `decodeMessage` dispatches on the two-byte type
 * (BOLT 1, Lightning Message Format).
 *
 * peer/ hands in what noise/ decrypted. Control messages come back as objects whose byte fields borrow from raw; gossip
 * messages are only checked for structure, as ingest/ reads them by offset. Unknown odd types are to be ignored (B1-03);
 * unknown even types and everything malformed are faults, after which the connection is closed (B1-04, B1-05, B1-06).
 */
import { readU16 } from '../base/bytes.ts';
import { type AnnouncementSignatures, decodeAnnouncementSignatures } from './announcement_signatures.ts';
import { checkChannelAnnouncement } from './channel_announcement.ts';
import { checkChannelUpdate } from './channel_update.ts';
import { decodeError, type ErrorMessage } from './error.ts';
import { type Decoded, isWireFault, type WireFaultKind, wireFault } from './fault.ts';
import { decodeGossipTimestampFilter, type GossipTimestampFilter } from './gossip_timestamp_filter.ts';
import { decodeInit, type Init } from './init.ts';
import { MESSAGE_TYPE, TYPE_BYTES } from './message_types.ts';
import { checkNodeAnnouncement } from './node_announcement.ts';
import { decodePing, type Ping } from './ping.ts';
import { decodePong, type Pong } from './pong.ts';
import { decodeQueryChannelRange, type QueryChannelRange } from './query_channel_range.ts';
import { decodeQueryShortChannelIds, type QueryShortChannelIds } from './query_short_channel_ids.ts';
import { decodeReplyChannelRange, type ReplyChannelRange } from './reply_channel_range.ts';
import {
  decodeReplyShortChannelIdsEnd,
  type ReplyShortChannelIdsEnd,
} from './reply_short_channel_ids_end.ts';
import { decodeWarning, type Warning } from './warning.ts';

/** Every message but the three that are stored and relayed. */
export type ControlMessage =
  | ({ readonly type: 'init' } & Init)
  | ({ readonly type: 'error' } & ErrorMessage)
  | ({ readonly type: 'warning' } & Warning)
  | ({ readonly type: 'ping' } & Ping)
  | ({ readonly type: 'pong' } & Pong)
  | ({ readonly type: 'announcement_signatures' } & AnnouncementSignatures)
  | ({ readonly type: 'query_short_channel_ids' } & QueryShortChannelIds)
  | ({ readonly type: 'reply_short_channel_ids_end' } & ReplyShortChannelIdsEnd)
  | ({ readonly type: 'query_channel_range' } & QueryChannelRange)
  | ({ readonly type: 'reply_channel_range' } & ReplyChannelRange)
  | ({ readonly type: 'gossip_timestamp_filter' } & GossipTimestampFilter);

/** A message for ingest/, well formed: the accessors of its kind may be used on raw. */
export interface GossipMessage {
  readonly type: 'gossip';
  readonly kind: 256 | 257 | 258;
}

/** A message of an odd type that we do not know. */
export interface UnknownMessage {
  readonly type: 'unknown';
  readonly number: number;
}

// Shared, so that the hot path allocates nothing.
const CHANNEL_ANNOUNCEMENT: GossipMessage = { type: 'gossip', kind: MESSAGE_TYPE.channel_announcement };
const NODE_ANNOUNCEMENT: GossipMessage = { type: 'gossip', kind: MESSAGE_TYPE.node_announcement };
const CHANNEL_UPDATE: GossipMessage = { type: 'gossip', kind: MESSAGE_TYPE.channel_update };

const gossip = (message: GossipMessage, fault: WireFaultKind | undefined): Decoded<GossipMessage> =>
  fault === undefined ? message : wireFault(fault, message.kind, 0);

const named = <Name extends string, Message extends object>(
  type: Name,
  decoded: Decoded<Message>,
): Decoded<{ readonly type: Name } & Message> => (isWireFault(decoded) ? decoded : { type, ...decoded });

/** Reads one whole message, type included, of at most 65535 bytes. Byte fields borrow from `raw`. Never throws. */
export const decodeMessage = (raw: Uint8Array): Decoded<ControlMessage | GossipMessage | UnknownMessage> => {
  if (raw.length < TYPE_BYTES) return wireFault('too_short', 0, raw.length);
  const number = readU16(raw, 0);
  switch (number) {
    case MESSAGE_TYPE.channel_announcement:
      return gossip(CHANNEL_ANNOUNCEMENT, checkChannelAnnouncement(raw, 0, raw.length));
    case MESSAGE_TYPE.node_announcement:
      return gossip(NODE_ANNOUNCEMENT, checkNodeAnnouncement(raw, 0, raw.length));
    case MESSAGE_TYPE.channel_update:
      return gossip(CHANNEL_UPDATE, checkChannelUpdate(raw, 0, raw.length));
    case MESSAGE_TYPE.init:
      return named('init', decodeInit(raw));
    case MESSAGE_TYPE.error:
      return named('error', decodeError(raw));
    case MESSAGE_TYPE.warning:
      return named('warning', decodeWarning(raw));
    case MESSAGE_TYPE.ping:
      return named('ping', decodePing(raw));
    case MESSAGE_TYPE.pong:
      return named('pong', decodePong(raw));
    case MESSAGE_TYPE.announcement_signatures:
      return named('announcement_signatures', decodeAnnouncementSignatures(raw));
    case MESSAGE_TYPE.query_short_channel_ids:
      return named('query_short_channel_ids', decodeQueryShortChannelIds(raw));
    case MESSAGE_TYPE.reply_short_channel_ids_end:
      return named('reply_short_channel_ids_end', decodeReplyShortChannelIdsEnd(raw));
    case MESSAGE_TYPE.query_channel_range:
      return named('query_channel_range', decodeQueryChannelRange(raw));
    case MESSAGE_TYPE.reply_channel_range:
      return named('reply_channel_range', decodeReplyChannelRange(raw));
    case MESSAGE_TYPE.gossip_timestamp_filter:
      return named('gossip_timestamp_filter', decodeGossipTimestampFilter(raw));
    default:
      return number % 2 === 0 ? wireFault('unknown_even_type', number, 0) : { type: 'unknown', number };
  }
};
