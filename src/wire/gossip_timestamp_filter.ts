/**
 * gossip_timestamp_filter (265): which gossip the sender wants to be told of from now on (BOLT 7).
 * It replaces the one before it.
 *
 * Layout: chain_hash 32, u32 first_timestamp, u32 timestamp_range. sync/ acts on it; until it arrives nothing is
 * relayed.
 */
import { readU32, writeU16, writeU32 } from '../base/bytes.ts';
import { type Decoded, wireFault } from './fault.ts';
import { fixedBytes } from './fixed_field.ts';
import { MESSAGE_TYPE } from './message_types.ts';
import { checkExtension } from './tlv.ts';

const TYPE = MESSAGE_TYPE.gossip_timestamp_filter;
const FIRST_AT = 34;
const RANGE_AT = 38;
const TOTAL_BYTES = 42;

export interface GossipTimestampFilter {
  /** 32 bytes, a view of raw. */
  readonly chain_hash: Uint8Array;
  /** Unix seconds, u32. */
  readonly first_timestamp: number;
  /** Seconds, u32; wanted is first <= timestamp < first + range, a sum that may exceed u32. */
  readonly timestamp_range: number;
}

/** Reads the message; `raw` includes the type. chain_hash borrows from `raw`. */
export const decodeGossipTimestampFilter = (raw: Uint8Array): Decoded<GossipTimestampFilter> => {
  if (raw.length < TOTAL_BYTES) return wireFault('too_short', TYPE, raw.length);
  return (
    checkExtension(raw, TOTAL_BYTES, TYPE) ?? {
      chain_hash: raw.subarray(2, FIRST_AT),
      first_timestamp: readU32(raw, FIRST_AT),
      timestamp_range: readU32(raw, RANGE_AT),
    }
  );
};

/** Throws Bug on a chain_hash that is not 32 bytes. */
export const encodeGossipTimestampFilter = (message: GossipTimestampFilter): Uint8Array => {
  const raw = new Uint8Array(TOTAL_BYTES);
  writeU16(raw, 0, TYPE);
  raw.set(fixedBytes('chain_hash', message.chain_hash, 32), 2);
  writeU32(raw, FIRST_AT, message.first_timestamp);
  writeU32(raw, RANGE_AT, message.timestamp_range);
  return raw;
};
