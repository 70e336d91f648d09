/**
 * channel_announcement (256): two nodes vouch, with four signatures, that a funding output is a channel of theirs (BOLT 7).
 *
 * Layout from the type: four signatures of 64 bytes at +2; u16 feature length at +258; features; chain_hash 32;
 * short_channel_id 8; node_id_1, node_id_2, bitcoin_key_1, bitcoin_key_2 of 33 bytes each; then a tail that is kept, because
 * the signatures cover it (B7-49). A message without features and tail has 432 bytes.
 *
 * ingest, the store's scan and the graph use the accessors: they read by offset, allocate nothing, and assume that
 * `checkChannelAnnouncement` has passed. Decoding into an object is for edges. Nothing here judges keys or signatures.
 */
import { concatBytes, own, readU16, readU32, toHex, writeU16, writeU64 } from '../base/bytes.ts';
import type { ChainHash } from '../base/chain_hash.ts';
import { type NodeId, nodeIdAt } from '../base/node_id.ts';
import { type ShortChannelId, scidFromHalves } from '../base/short_channel_id.ts';
import { type Decoded, type WireFaultKind, wireFault } from './fault.ts';
import { countedBytes, fixedBytes, fixedHex } from './fixed_field.ts';
import { MESSAGE_TYPE } from './message_types.ts';

/** Offset from the type of the signed part (BOLT 7); the four signatures lie between the type and it. */
export const CHANNEL_ANNOUNCEMENT_SIGNED_FROM = 258;

/** 2 type + 4 * 64 signatures + 2 feature length + 32 chain_hash + 8 scid + 4 * 33 keys. */
export const CHANNEL_ANNOUNCEMENT_MIN_BYTES = 432;

const FEATURES_FROM = 260;

/**
 * Whether the fields fit into the message. Structural only.
 *
 * @param at index of the type in `bytes`; the caller has dispatched on it, and vouches that `length` bytes are there
 * @param length whole message, type included
 */
export const checkChannelAnnouncement = (
  bytes: Uint8Array,
  at: number,
  length: number,
): WireFaultKind | undefined =>
  length < CHANNEL_ANNOUNCEMENT_MIN_BYTES ||
  length < CHANNEL_ANNOUNCEMENT_MIN_BYTES + readU16(bytes, at + CHANNEL_ANNOUNCEMENT_SIGNED_FROM)
    ? 'too_short'
    : undefined;

/** Length of the features in bytes; they start at `at + 260`. */
export const channelAnnouncementFeatureBytes = (bytes: Uint8Array, at: number): number =>
  readU16(bytes, at + CHANNEL_ANNOUNCEMENT_SIGNED_FROM);

/** Absolute index of the 32 bytes. */
export const channelAnnouncementChainHashAt = (bytes: Uint8Array, at: number): number =>
  at + FEATURES_FROM + channelAnnouncementFeatureBytes(bytes, at);

/** Upper half of short_channel_id, unsigned. */
export const channelAnnouncementScidHi = (bytes: Uint8Array, at: number): number =>
  readU32(bytes, channelAnnouncementChainHashAt(bytes, at) + 32);

/** Lower half of short_channel_id, unsigned. */
export const channelAnnouncementScidLo = (bytes: Uint8Array, at: number): number =>
  readU32(bytes, channelAnnouncementChainHashAt(bytes, at) + 36);

/** Absolute index of node_id_1; the four keys are contiguous from here, 33 bytes each. */
export const channelAnnouncementNodeId1At = (bytes: Uint8Array, at: number): number =>
  channelAnnouncementChainHashAt(bytes, at) + 40;

/** Absolute index of the 33 bytes. */
export const channelAnnouncementNodeId2At = (bytes: Uint8Array, at: number): number =>
  channelAnnouncementChainHashAt(bytes, at) + 73;

/** Absolute index of the 33 bytes. */
export const channelAnnouncementBitcoinKey1At = (bytes: Uint8Array, at: number): number =>
  channelAnnouncementChainHashAt(bytes, at) + 106;

/** Absolute index of the 33 bytes. */
export const channelAnnouncementBitcoinKey2At = (bytes: Uint8Array, at: number): number =>
  channelAnnouncementChainHashAt(bytes, at) + 139;

/** The message for edges and people; every array is a copy of its own. BOLT 7, channel_announcement. */
export interface ChannelAnnouncement {
  /** 64 bytes, compact; likewise the next three. */
  readonly node_signature_1: Uint8Array;
  readonly node_signature_2: Uint8Array;
  readonly bitcoin_signature_1: Uint8Array;
  readonly bitcoin_signature_2: Uint8Array;
  /** Big-endian bit field as on the wire, at most 65535 bytes. */
  readonly features: Uint8Array;
  readonly chain_hash: ChainHash;
  readonly short_channel_id: ShortChannelId;
  readonly node_id_1: NodeId;
  readonly node_id_2: NodeId;
  /** Funding public key of node_id_1: lowercase hex of 33 bytes. */
  readonly bitcoin_key_1: string;
  readonly bitcoin_key_2: string;
  /** Bytes after the last known field; signed like the rest. */
  readonly tail: Uint8Array;
}

/** @param raw the whole message; borrowed. The caller has dispatched on its type. */
export const decodeChannelAnnouncement = (raw: Uint8Array): Decoded<ChannelAnnouncement> => {
  const fault = checkChannelAnnouncement(raw, 0, raw.length);
  if (fault !== undefined) return wireFault(fault, MESSAGE_TYPE.channel_announcement, raw.length);
  const chainHashAt = channelAnnouncementChainHashAt(raw, 0);
  const bitcoinKey1At = channelAnnouncementBitcoinKey1At(raw, 0);
  const bitcoinKey2At = channelAnnouncementBitcoinKey2At(raw, 0);
  return {
    node_signature_1: own(raw.subarray(2, 66)),
    node_signature_2: own(raw.subarray(66, 130)),
    bitcoin_signature_1: own(raw.subarray(130, 194)),
    bitcoin_signature_2: own(raw.subarray(194, 258)),
    features: own(raw.subarray(FEATURES_FROM, chainHashAt)),
    chain_hash: toHex(raw, chainHashAt, chainHashAt + 32) as ChainHash,
    short_channel_id: scidFromHalves(channelAnnouncementScidHi(raw, 0), channelAnnouncementScidLo(raw, 0)),
    node_id_1: nodeIdAt(raw, channelAnnouncementNodeId1At(raw, 0)),
    node_id_2: nodeIdAt(raw, channelAnnouncementNodeId2At(raw, 0)),
    bitcoin_key_1: toHex(raw, bitcoinKey1At, bitcoinKey1At + 33),
    bitcoin_key_2: toHex(raw, bitcoinKey2At, bitcoinKey2At + 33),
    tail: own(raw.subarray(bitcoinKey2At + 33)),
  };
};

/** The exact inverse of decoding. Throws Bug when a field of ours has the wrong length. */
export const encodeChannelAnnouncement = (fields: ChannelAnnouncement): Uint8Array => {
  const head = new Uint8Array(2);
  writeU16(head, 0, MESSAGE_TYPE.channel_announcement);
  const featureLength = new Uint8Array(2);
  writeU16(featureLength, 0, fields.features.length);
  const scid = new Uint8Array(8);
  writeU64(scid, 0, fields.short_channel_id);
  return concatBytes(
    head,
    fixedBytes('node_signature_1', fields.node_signature_1, 64),
    fixedBytes('node_signature_2', fields.node_signature_2, 64),
    fixedBytes('bitcoin_signature_1', fields.bitcoin_signature_1, 64),
    fixedBytes('bitcoin_signature_2', fields.bitcoin_signature_2, 64),
    featureLength,
    countedBytes('features', fields.features),
    fixedHex('chain_hash', fields.chain_hash, 32),
    scid,
    fixedHex('node_id_1', fields.node_id_1, 33),
    fixedHex('node_id_2', fields.node_id_2, 33),
    fixedHex('bitcoin_key_1', fields.bitcoin_key_1, 33),
    fixedHex('bitcoin_key_2', fields.bitcoin_key_2, 33),
    fields.tail,
  );
};
