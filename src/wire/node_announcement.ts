/**
 * node_announcement (257): what a node says of itself: addresses, features, colour and alias (BOLT 7).
 *
 * Layout from the type: signature 64 at +2; u16 feature length at +66; features; u32 timestamp; node_id 33; rgb_color 3;
 * alias 32; u16 address length; addresses; then a tail that is kept, because the signature covers it (B7-49). A message
 * without features, addresses and tail has 142 bytes.
 *
 * ingest, the store's scan and the graph use the accessors: they read by offset and assume that `checkNodeAnnouncement`
 * has passed. The check is structural only; whether the address descriptors make sense is `nodeAnnouncementAddresses`' to
 * say (B7-20, B7-26). Alias and colour are claims of the node: text for display comes out with nothing in it that
 * moves a cursor or reorders a line, and still needs the escaping of whatever it is put into (B7-24).
 */
import { concatBytes, own, readU16, readU32, toHex, writeU16, writeU32 } from '../base/bytes.ts';
import { NODE_ID_BYTES, type NodeId, nodeIdAt } from '../base/node_id.ts';
import { type AddressDescriptor, decodeAddresses } from './address_descriptor.ts';
import { type Decoded, type WireFaultKind, wireFault } from './fault.ts';
import { countedBytes, fixedBytes, fixedHex } from './fixed_field.ts';
import { MESSAGE_TYPE } from './message_types.ts';

/** Offset from the type of the signed part. */
export const NODE_ANNOUNCEMENT_SIGNED_FROM = 66;

/** 2 type + 64 signature + 2 feature length + 4 timestamp + 33 node_id + 3 colour + 32 alias + 2 address length. */
export const NODE_ANNOUNCEMENT_MIN_BYTES = 142;

const FEATURES_FROM = 68;
const ALIAS_BYTES = 32;

/** Offsets from the timestamp, which follows the features. */
const NODE_ID_FROM = 4;
const COLOR_FROM = 37;
const ALIAS_FROM = 40;
const ADDRESS_LENGTH_FROM = 72;
const ADDRESSES_FROM = 74;

/**
 * Whether the fields fit into the message. Structural only.
 *
 * @param at index of the type in `bytes`; the caller has dispatched on it, and vouches that `length` bytes are there
 * @param length whole message, type included
 */
export const checkNodeAnnouncement = (
  bytes: Uint8Array,
  at: number,
  length: number,
): WireFaultKind | undefined => {
  if (length < NODE_ANNOUNCEMENT_MIN_BYTES) return 'too_short';
  const withoutAddresses = NODE_ANNOUNCEMENT_MIN_BYTES + nodeAnnouncementFeatureBytes(bytes, at);
  if (length < withoutAddresses) return 'too_short';
  return length < withoutAddresses + nodeAnnouncementAddressBytes(bytes, at) ? 'too_short' : undefined;
};

/** Length of the features in bytes; they start at `at + 68`. */
export const nodeAnnouncementFeatureBytes = (bytes: Uint8Array, at: number): number =>
  readU16(bytes, at + NODE_ANNOUNCEMENT_SIGNED_FROM);

const timestampAt = (bytes: Uint8Array, at: number): number =>
  at + FEATURES_FROM + nodeAnnouncementFeatureBytes(bytes, at);

/** Unix seconds. */
export const nodeAnnouncementTimestamp = (bytes: Uint8Array, at: number): number =>
  readU32(bytes, timestampAt(bytes, at));

/** Absolute index of the 33 bytes. */
export const nodeAnnouncementNodeIdAt = (bytes: Uint8Array, at: number): number =>
  timestampAt(bytes, at) + NODE_ID_FROM;

/** Absolute index of the 32 alias bytes. */
export const nodeAnnouncementAliasAt = (bytes: Uint8Array, at: number): number =>
  timestampAt(bytes, at) + ALIAS_FROM;

/** Absolute index of the first address descriptor. */
export const nodeAnnouncementAddressesAt = (bytes: Uint8Array, at: number): number =>
  timestampAt(bytes, at) + ADDRESSES_FROM;

/** Length of all address descriptors together in bytes. */
export const nodeAnnouncementAddressBytes = (bytes: Uint8Array, at: number): number =>
  readU16(bytes, timestampAt(bytes, at) + ADDRESS_LENGTH_FROM);

/** The descriptors, and what is wrong with them: addresses_too_short (B7-20) or second_dns (B7-26). Allocates. */
export const nodeAnnouncementAddresses = (
  bytes: Uint8Array,
  at: number,
): ReturnType<typeof decodeAddresses> => {
  const from = nodeAnnouncementAddressesAt(bytes, at);
  return decodeAddresses(bytes.subarray(from, from + nodeAnnouncementAddressBytes(bytes, at)));
};

/** Six lowercase hex digits, `rrggbb`; a claim of the node (B7-24). */
export const nodeAnnouncementColor = (bytes: Uint8Array, at: number): string => {
  const from = timestampAt(bytes, at) + COLOR_FROM;
  return toHex(bytes, from, from + 3);
};

/** Keeps a leading byte order mark, so that it is replaced like the other invisible characters. */
const UTF_8 = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * Control characters (C0, DEL, C1), format characters (bidirectional overrides, zero-width ones, tags), line and
 * paragraph separators, private use, and the letters that render as nothing.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\u115f\u1160\u3164\uffa0]/gu;

/** The alias as text for display: trailing zero bytes gone, whatever cannot be printed safely replaced by U+FFFD (B7-24). */
export const aliasText = (alias: Uint8Array): string => {
  let end = alias.length;
  while (end > 0 && alias[end - 1] === 0) end--;
  return UTF_8.decode(alias.subarray(0, end)).replace(UNPRINTABLE, '\ufffd');
};

/** The alias as text for display; see `aliasText`. Allocates. */
export const nodeAnnouncementAlias = (bytes: Uint8Array, at: number): string => {
  const from = nodeAnnouncementAliasAt(bytes, at);
  return aliasText(bytes.subarray(from, from + ALIAS_BYTES));
};

/** What an encoder needs of a node_announcement. BOLT 7, node_announcement. */
export interface NodeAnnouncementFields {
  /** 64 bytes, compact. */
  readonly signature: Uint8Array;
  /** Big-endian bit field as on the wire, at most 65535 bytes. */
  readonly features: Uint8Array;
  /** Unix seconds, u32. */
  readonly timestamp: number;
  readonly node_id: NodeId;
  /** 3 bytes: red, green, blue. */
  readonly rgb_color: Uint8Array;
  /** 32 bytes, UTF-8 filled up with zeros when the sender keeps the rules; `aliasText` makes it printable. */
  readonly alias: Uint8Array;
  /** The address descriptors as on the wire, at most 65535 bytes. */
  readonly addressBytes: Uint8Array;
  /** Bytes after the last known field; signed like the rest. */
  readonly tail: Uint8Array;
}

/** The message for edges and people; every array is a copy of its own. */
export interface NodeAnnouncement extends NodeAnnouncementFields {
  /** What could be read of `addressBytes`; encoding takes the bytes, not this. */
  readonly addresses: readonly AddressDescriptor[];
}

/** @param raw the whole message; borrowed. The caller has dispatched on its type. */
export const decodeNodeAnnouncement = (raw: Uint8Array): Decoded<NodeAnnouncement> => {
  const fault = checkNodeAnnouncement(raw, 0, raw.length);
  if (fault !== undefined) return wireFault(fault, MESSAGE_TYPE.node_announcement, raw.length);
  const timestampFrom = timestampAt(raw, 0);
  const aliasFrom = timestampFrom + ALIAS_FROM;
  const addressesFrom = timestampFrom + ADDRESSES_FROM;
  const addressesEnd = addressesFrom + nodeAnnouncementAddressBytes(raw, 0);
  const addressBytes = own(raw.subarray(addressesFrom, addressesEnd));
  return {
    signature: own(raw.subarray(2, NODE_ANNOUNCEMENT_SIGNED_FROM)),
    features: own(raw.subarray(FEATURES_FROM, timestampFrom)),
    timestamp: readU32(raw, timestampFrom),
    node_id: nodeIdAt(raw, timestampFrom + NODE_ID_FROM),
    rgb_color: own(raw.subarray(timestampFrom + COLOR_FROM, aliasFrom)),
    alias: own(raw.subarray(aliasFrom, aliasFrom + ALIAS_BYTES)),
    addresses: decodeAddresses(addressBytes).addresses,
    addressBytes,
    tail: own(raw.subarray(addressesEnd)),
  };
};

/** The exact inverse of decoding. Throws Bug when a field of ours has the wrong length. */
export const encodeNodeAnnouncement = (fields: NodeAnnouncementFields): Uint8Array => {
  const head = new Uint8Array(2);
  writeU16(head, 0, MESSAGE_TYPE.node_announcement);
  const featureLength = new Uint8Array(2);
  writeU16(featureLength, 0, fields.features.length);
  const timestamp = new Uint8Array(4);
  writeU32(timestamp, 0, fields.timestamp);
  const addressLength = new Uint8Array(2);
  writeU16(addressLength, 0, fields.addressBytes.length);
  return concatBytes(
    head,
    fixedBytes('signature', fields.signature, 64),
    featureLength,
    countedBytes('features', fields.features),
    timestamp,
    fixedHex('node_id', fields.node_id, NODE_ID_BYTES),
    fixedBytes('rgb_color', fields.rgb_color, 3),
    fixedBytes('alias', fields.alias, ALIAS_BYTES),
    addressLength,
    countedBytes('addresses', fields.addressBytes),
    fields.tail,
  );
};
