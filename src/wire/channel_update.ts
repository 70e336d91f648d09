/**
 * channel_update (258): one side's terms for forwarding over a channel (BOLT 7).
 *
 * Layout from the type, all at fixed offsets: signature 64 at +2; chain_hash 32 at +66; short_channel_id 8 at +98; u32
 * timestamp at +106; message_flags at +110; channel_flags at +111; u16 cltv_expiry_delta at +112; u64 htlc_minimum_msat at
 * +114; u32 fee_base_msat at +122; u32 fee_proportional_millionths at +126; u64 htlc_maximum_msat at +130; tail from +138,
 * kept because the signature covers it (B7-49).
 *
 * ingest, the store's scan, sync and the graph use the accessors: they read by offset, allocate nothing, and assume that
 * `checkChannelUpdate` has passed. The 130-byte form without htlc_maximum_msat is refused, as by CLN since v22.11.
 */
import {
  concatBytes,
  own,
  readU16,
  readU32,
  readU64,
  readU64AsNumber,
  toHex,
  writeU16,
  writeU32,
  writeU64,
} from '../base/bytes.ts';
import type { ChainHash } from '../base/chain_hash.ts';
import { type ShortChannelId, scidFromHalves } from '../base/short_channel_id.ts';
import { crc32c } from './crc32c.ts';
import { type Decoded, type WireFaultKind, wireFault } from './fault.ts';
import { fixedBytes, fixedHex } from './fixed_field.ts';
import { MESSAGE_TYPE } from './message_types.ts';

/** Offset from the type of the signed part. */
export const CHANNEL_UPDATE_SIGNED_FROM = 66;

/** All fields, without a tail. */
export const CHANNEL_UPDATE_MIN_BYTES = 138;

/** message_flags: always set by a current sender; once said that htlc_maximum_msat is there. */
export const MESSAGE_FLAG_MUST_BE_ONE = 1;
/** message_flags: for the receiver alone, never to be passed on (B7-38). */
export const MESSAGE_FLAG_DONT_FORWARD = 2;
/** channel_flags: 0 from node_id_1, 1 from node_id_2. */
export const CHANNEL_FLAG_DIRECTION = 1;
/** channel_flags: the sender takes no payments over the channel for now. */
export const CHANNEL_FLAG_DISABLE = 2;

/**
 * Whether the fields fit into the message. Structural only.
 *
 * @param at index of the type in `bytes`; the caller has dispatched on it, and vouches that `length` bytes are there
 * @param length whole message, type included
 */
export const checkChannelUpdate = (
  _bytes: Uint8Array,
  _at: number,
  length: number,
): WireFaultKind | undefined => (length < CHANNEL_UPDATE_MIN_BYTES ? 'too_short' : undefined);

/** Absolute index of the 32 bytes. */
export const channelUpdateChainHashAt = (_bytes: Uint8Array, at: number): number => at + 66;

/** Upper half of short_channel_id, unsigned. */
export const channelUpdateScidHi = (bytes: Uint8Array, at: number): number => readU32(bytes, at + 98);

/** Lower half of short_channel_id, unsigned. */
export const channelUpdateScidLo = (bytes: Uint8Array, at: number): number => readU32(bytes, at + 102);

/** Unix seconds. */
export const channelUpdateTimestamp = (bytes: Uint8Array, at: number): number => readU32(bytes, at + 106);

/** The whole byte; see the `MESSAGE_FLAG_` constants. */
export const channelUpdateMessageFlags = (bytes: Uint8Array, at: number): number => bytes[at + 110] as number;

/** The whole byte; see the `CHANNEL_FLAG_` constants. */
export const channelUpdateChannelFlags = (bytes: Uint8Array, at: number): number => bytes[at + 111] as number;

/** 0: node_id_1 is the sender; 1: node_id_2 (B7-29). */
export const channelUpdateDirection = (bytes: Uint8Array, at: number): 0 | 1 =>
  ((bytes[at + 111] as number) & CHANNEL_FLAG_DIRECTION) === 0 ? 0 : 1;

export const channelUpdateIsDisabled = (bytes: Uint8Array, at: number): boolean =>
  ((bytes[at + 111] as number) & CHANNEL_FLAG_DISABLE) !== 0;

/** True if the update must not be passed on (B7-38). */
export const channelUpdateDontForward = (bytes: Uint8Array, at: number): boolean =>
  ((bytes[at + 110] as number) & MESSAGE_FLAG_DONT_FORWARD) !== 0;

/** Blocks. */
export const channelUpdateCltvExpiryDelta = (bytes: Uint8Array, at: number): number =>
  readU16(bytes, at + 112);

/** Exact up to 2^53, rounded above. */
export const channelUpdateHtlcMinimumMsat = (bytes: Uint8Array, at: number): number =>
  readU64AsNumber(bytes, at + 114);

export const channelUpdateFeeBaseMsat = (bytes: Uint8Array, at: number): number => readU32(bytes, at + 122);

export const channelUpdateFeeProportionalMillionths = (bytes: Uint8Array, at: number): number =>
  readU32(bytes, at + 126);

/** Exact up to 2^53, rounded above. */
export const channelUpdateHtlcMaximumMsat = (bytes: Uint8Array, at: number): number =>
  readU64AsNumber(bytes, at + 130);

/**
 * What query_channel_range compares updates by: CRC-32C over chain_hash and short_channel_id, then over everything
 * after the timestamp, tail included. Neither the type nor signature nor timestamp takes part (fixed by CLN's vectors).
 */
export const channelUpdateChecksum = (bytes: Uint8Array, at: number, length: number): number =>
  crc32c(crc32c(0, bytes, at + CHANNEL_UPDATE_SIGNED_FROM, at + 106), bytes, at + 110, at + length);

/** The message for edges and people; every array is a copy of its own. BOLT 7, channel_update. */
export interface ChannelUpdate {
  /** 64 bytes, compact. */
  readonly signature: Uint8Array;
  readonly chain_hash: ChainHash;
  readonly short_channel_id: ShortChannelId;
  /** Unix seconds, u32. */
  readonly timestamp: number;
  /** u8 */
  readonly message_flags: number;
  /** u8 */
  readonly channel_flags: number;
  /** Blocks, u16. */
  readonly cltv_expiry_delta: number;
  /** u64 */
  readonly htlc_minimum_msat: bigint;
  /** u32 */
  readonly fee_base_msat: number;
  /** u32 */
  readonly fee_proportional_millionths: number;
  /** u64 */
  readonly htlc_maximum_msat: bigint;
  /** Bytes after the last known field; signed like the rest. */
  readonly tail: Uint8Array;
}

/** @param raw the whole message; borrowed. The caller has dispatched on its type. */
export const decodeChannelUpdate = (raw: Uint8Array): Decoded<ChannelUpdate> => {
  const fault = checkChannelUpdate(raw, 0, raw.length);
  if (fault !== undefined) return wireFault(fault, MESSAGE_TYPE.channel_update, raw.length);
  return {
    signature: own(raw.subarray(2, CHANNEL_UPDATE_SIGNED_FROM)),
    chain_hash: toHex(raw, 66, 98) as ChainHash,
    short_channel_id: scidFromHalves(channelUpdateScidHi(raw, 0), channelUpdateScidLo(raw, 0)),
    timestamp: channelUpdateTimestamp(raw, 0),
    message_flags: channelUpdateMessageFlags(raw, 0),
    channel_flags: channelUpdateChannelFlags(raw, 0),
    cltv_expiry_delta: channelUpdateCltvExpiryDelta(raw, 0),
    htlc_minimum_msat: readU64(raw, 114),
    fee_base_msat: channelUpdateFeeBaseMsat(raw, 0),
    fee_proportional_millionths: channelUpdateFeeProportionalMillionths(raw, 0),
    htlc_maximum_msat: readU64(raw, 130),
    tail: own(raw.subarray(CHANNEL_UPDATE_MIN_BYTES)),
  };
};

/** The exact inverse of decoding. Throws Bug when signature or chain_hash has the wrong length; numbers wrap. */
export const encodeChannelUpdate = (fields: ChannelUpdate): Uint8Array => {
  const terms = new Uint8Array(40);
  writeU64(terms, 0, fields.short_channel_id);
  writeU32(terms, 8, fields.timestamp);
  terms[12] = fields.message_flags;
  terms[13] = fields.channel_flags;
  writeU16(terms, 14, fields.cltv_expiry_delta);
  writeU64(terms, 16, fields.htlc_minimum_msat);
  writeU32(terms, 24, fields.fee_base_msat);
  writeU32(terms, 28, fields.fee_proportional_millionths);
  writeU64(terms, 32, fields.htlc_maximum_msat);
  const head = new Uint8Array(2);
  writeU16(head, 0, MESSAGE_TYPE.channel_update);
  return concatBytes(
    head,
    fixedBytes('signature', fields.signature, 64),
    fixedHex('chain_hash', fields.chain_hash, 32),
    terms,
    fields.tail,
  );
};
