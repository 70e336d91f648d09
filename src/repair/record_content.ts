/**
 * What a record of any version says, in one shape: its kind, and where the gossip message in it lies.
 *
 * The audit hands in each live record, which has passed the structural check of its version, and gets the same object back,
 * filled anew. Version 3 wraps its messages, private channels are wrapped up to version 12; from here on nobody needs to
 * know. A record whose inner lengths do not fit after all is `other`.
 */
import { readU16 } from '../base/bytes.ts';
import { checkChannelAnnouncement } from '../wire/channel_announcement.ts';
import { MESSAGE_TYPE, messageTypeName } from '../wire/message_types.ts';
import { OBSOLETE_TYPE, SHORT_CHANNEL_UPDATE_BYTES } from '../wire/obsolete_store_messages.ts';
import {
  GOSSIP_STORE_CHAN_DYING,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  GOSSIP_STORE_DELETE_CHAN,
  GOSSIP_STORE_ENDED,
  GOSSIP_STORE_UUID,
  type StoreRecord,
} from '../wire/store_record.ts';

export type ContentKind =
  | 'announcement'
  | 'node'
  | 'update'
  | 'amount'
  | 'delete_chan'
  | 'chan_dying'
  | 'ended'
  | 'uuid'
  | 'private_channel'
  | 'private_update'
  | 'other';

export interface RecordContent {
  kind: ContentKind;
  /** Index in the record's array of the gossip message (of what is no gossip, of the record's message). */
  at: number;
  length: number;
  /** Index of the eight bytes of the short_channel_id, or -1. */
  scidAt: number;
  /** Version 3: the amount is part of the announcement's record. */
  hasAmount: boolean;
}

export const emptyContent = (): RecordContent => ({
  kind: 'other',
  at: 0,
  length: 0,
  scidAt: -1,
  hasAmount: false,
});

const KINDS: ReadonlyMap<number, ContentKind> = new Map<number, ContentKind>([
  [MESSAGE_TYPE.channel_announcement, 'announcement'],
  [MESSAGE_TYPE.node_announcement, 'node'],
  [MESSAGE_TYPE.channel_update, 'update'],
  [GOSSIP_STORE_CHANNEL_AMOUNT, 'amount'],
  [GOSSIP_STORE_DELETE_CHAN, 'delete_chan'],
  [GOSSIP_STORE_CHAN_DYING, 'chan_dying'],
  [GOSSIP_STORE_ENDED, 'ended'],
  [GOSSIP_STORE_UUID, 'uuid'],
  [OBSOLETE_TYPE.local_add_channel, 'private_channel'],
  [OBSOLETE_TYPE.wrapped_channel_announcement, 'announcement'],
  [OBSOLETE_TYPE.wrapped_channel_update, 'update'],
  [OBSOLETE_TYPE.wrapped_node_announcement, 'node'],
  [OBSOLETE_TYPE.wrapped_channel_delete, 'delete_chan'],
  [OBSOLETE_TYPE.wrapped_local_add_channel, 'private_channel'],
  [OBSOLETE_TYPE.private_update, 'private_update'],
  [OBSOLETE_TYPE.private_channel, 'private_channel'],
]);

/** Where the inner message of a wrapping record starts, and where its u16 length is; by type. */
const WRAPPED: ReadonlyMap<number, readonly [from: number, lengthAt: number]> = new Map([
  [OBSOLETE_TYPE.wrapped_channel_announcement, [4, 2]],
  [OBSOLETE_TYPE.wrapped_channel_update, [4, 2]],
  [OBSOLETE_TYPE.wrapped_node_announcement, [4, 2]],
  [OBSOLETE_TYPE.wrapped_local_add_channel, [4, 2]],
  [OBSOLETE_TYPE.private_update, [4, 2]],
  [OBSOLETE_TYPE.private_channel, [12, 10]],
] as const);

const STORE_NAMES: ReadonlyMap<number, string> = new Map([
  [GOSSIP_STORE_CHANNEL_AMOUNT, 'channel_amount'],
  [GOSSIP_STORE_DELETE_CHAN, 'delete_chan'],
  [GOSSIP_STORE_ENDED, 'ended'],
  [GOSSIP_STORE_CHAN_DYING, 'chan_dying'],
  [GOSSIP_STORE_UUID, 'uuid'],
  ...Object.entries(OBSOLETE_TYPE).map(([name, type]): [number, string] => [type, name]),
]);

/** Types whose bytes tell of channels that this node has not made public. */
export const PRIVATE_TYPES: readonly number[] = [
  OBSOLETE_TYPE.local_add_channel,
  OBSOLETE_TYPE.wrapped_local_add_channel,
  OBSOLETE_TYPE.private_update,
  OBSOLETE_TYPE.private_channel,
];

/** `channel_update`, `channel_amount`, `private_channel` and the like; `type 1234` for any other number. */
export const recordTypeName = (type: number): string => {
  const known = STORE_NAMES.get(type) ?? messageTypeName(type);
  return known.startsWith('unknown_') ? `type ${type}` : known;
};

export const PRIVATE_TYPE_NAMES: readonly string[] = PRIVATE_TYPES.map(recordTypeName);

const scidIndex = (content: RecordContent, bytes: Uint8Array, type: number): number => {
  const { at, length } = content;
  switch (content.kind) {
    case 'announcement':
      return at + 292 + readU16(bytes, at + 258);
    case 'update':
    case 'private_update':
      return at + 98;
    case 'delete_chan':
    case 'chan_dying':
      return at + 2;
    case 'private_channel':
      if (type === OBSOLETE_TYPE.private_channel) return at + 292 + readU16(bytes, at + 258);
      return length >= 10 && readU16(bytes, at) === OBSOLETE_TYPE.local_add_channel ? at + 2 : -1;
    case 'node':
    case 'amount':
    case 'ended':
    case 'uuid':
    case 'other':
      return -1;
  }
};

/** Fills `content` from a record that is well formed for its version. */
export const readContent = (record: StoreRecord, content: RecordContent): void => {
  const { bytes, at, length, type } = record;
  content.at = at;
  content.length = length;
  content.hasAmount = false;
  content.scidAt = -1;
  // Nearly all records of all files; the structural check has passed.
  if (type === MESSAGE_TYPE.channel_update) {
    content.kind = 'update';
    content.scidAt = at + 98;
    return;
  }
  if (type === MESSAGE_TYPE.channel_announcement) {
    content.kind = 'announcement';
    content.scidAt = at + 292 + readU16(bytes, at + 258);
    return;
  }
  content.kind = KINDS.get(type) ?? 'other';
  const wrapped = WRAPPED.get(type);
  if (wrapped !== undefined) {
    const [from, lengthAt] = wrapped;
    const inner = length < from ? 0 : readU16(bytes, at + lengthAt);
    content.at = at + from;
    content.length = Math.min(inner, length - from);
    content.hasAmount = type === OBSOLETE_TYPE.wrapped_channel_announcement;
  }
  if (!fits(content, bytes, type)) content.kind = 'other';
  content.scidAt = scidIndex(content, bytes, type);
};

/** That the fields which the rules look at are there. */
const fits = (content: RecordContent, bytes: Uint8Array, type: number): boolean => {
  switch (content.kind) {
    case 'announcement':
      return checkChannelAnnouncement(bytes, content.at, content.length) === undefined;
    case 'update':
    case 'private_update':
      return content.length >= SHORT_CHANNEL_UPDATE_BYTES;
    case 'private_channel':
      return (
        type !== OBSOLETE_TYPE.private_channel ||
        checkChannelAnnouncement(bytes, content.at, content.length) === undefined
      );
    case 'node':
    case 'amount':
    case 'delete_chan':
    case 'chan_dying':
    case 'ended':
    case 'uuid':
    case 'other':
      return true;
  }
};
