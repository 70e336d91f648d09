/**
 * reply_channel_range (264): one part of the answer to query_channel_range (BOLT 7).
 *
 * Layout: chain_hash 32, u32 first_blocknum, u32 number_of_blocks, u8 sync_complete, u16 length, encoded_short_ids, TLVs
 * 1 timestamps (encoding byte, two u32 per channel) and 3 checksums (two u32 per channel, no encoding byte).
 * sync/ writes and reads these; whether a series of them answers the query is judged there. A message holds at
 * most (65535 - 46) / 8 = 8186 channels; `shortIdsPerReply` says how many with timestamps or checksums.
 */
import { readU16, readU32, writeU16, writeU32 } from '../base/bytes.ts';
import { assert } from '../base/errors.ts';
import { bigSizeBytes, writeBigSize } from './bigsize.ts';
import {
  ENCODING_PLAIN,
  PAIR_BYTES,
  readEncodedPairs,
  readPairs,
  readShortIds,
  SCID_BYTES,
  shortIdsBytes,
  writePairs,
  writeShortIds,
} from './encoded_array.ts';
import { type Decoded, wireFault } from './fault.ts';
import { fixedBytes } from './fixed_field.ts';
import { MAX_MESSAGE_BYTES, MESSAGE_TYPE } from './message_types.ts';
import { readTlvStream } from './tlv.ts';

const TYPE = MESSAGE_TYPE.reply_channel_range;
const FIRST_AT = 34;
const COUNT_AT = 38;
const COMPLETE_AT = 42;
const LENGTH_AT = 43;
const IDS_AT = 45;
const TLV_TIMESTAMPS = 1;
const TLV_CHECKSUMS = 3;
const TLVS: readonly number[] = [TLV_TIMESTAMPS, TLV_CHECKSUMS];

export interface ReplyChannelRange {
  /** 32 bytes, a view of raw. */
  readonly chain_hash: Uint8Array;
  /** Block height, u32. */
  readonly first_blocknum: number;
  /** u32; the sum with first_blocknum may exceed u32. */
  readonly number_of_blocks: number;
  /** True in the last part only. */
  readonly sync_complete: boolean;
  /** In the order of the wire, which should be ascending. A copy. */
  readonly short_channel_ids: BigUint64Array;
  /** Of the updates of node_id_1 and node_id_2, two per id; 0 where there is none. A copy. */
  readonly timestamps?: Uint32Array;
  /** Likewise. A copy. */
  readonly checksums?: Uint32Array;
}

/** How many short_channel_ids fit into one message, with or without what a query_option asks for. */
export const shortIdsPerReply = (withTimestamps: boolean, withChecksums: boolean): number => {
  // Each TLV: 1 byte type, 3 bytes length; timestamps also an encoding byte.
  const fixed = IDS_AT + 1 + (withTimestamps ? 5 : 0) + (withChecksums ? 4 : 0);
  const each = SCID_BYTES + (withTimestamps ? PAIR_BYTES : 0) + (withChecksums ? PAIR_BYTES : 0);
  return Math.floor((MAX_MESSAGE_BYTES - fixed) / each);
};

/** Reads the message; `raw` includes the type. chain_hash borrows from `raw`. */
export const decodeReplyChannelRange = (raw: Uint8Array): Decoded<ReplyChannelRange> => {
  if (raw.length < IDS_AT) return wireFault('too_short', TYPE, raw.length);
  const idsEnd = IDS_AT + readU16(raw, LENGTH_AT);
  if (idsEnd > raw.length) return wireFault('too_short', TYPE, raw.length);
  const short_channel_ids = readShortIds(raw, IDS_AT, idsEnd);
  if (typeof short_channel_ids === 'string') return wireFault(short_channel_ids, TYPE, IDS_AT);
  const found: { timestamps?: Uint32Array; checksums?: Uint32Array } = {};
  const fault = readTlvStream(
    raw,
    idsEnd,
    TLVS,
    (type, start, end) => {
      const read = type === TLV_TIMESTAMPS ? readEncodedPairs : readPairs;
      const pairs = read(raw, start, end, short_channel_ids.length);
      if (typeof pairs === 'string') return pairs;
      if (type === TLV_TIMESTAMPS) found.timestamps = pairs;
      else found.checksums = pairs;
      return undefined;
    },
    TYPE,
  );
  if (fault !== undefined) return fault;
  return {
    chain_hash: raw.subarray(2, FIRST_AT),
    first_blocknum: readU32(raw, FIRST_AT),
    number_of_blocks: readU32(raw, COUNT_AT),
    sync_complete: raw[COMPLETE_AT] !== 0,
    short_channel_ids,
    ...found,
  };
};

/** Throws Bug when timestamps or checksums are not two per id, or when it all does not fit into a message. */
export const encodeReplyChannelRange = (message: ReplyChannelRange): Uint8Array => {
  const { short_channel_ids, timestamps, checksums } = message;
  const idsBytes = shortIdsBytes(short_channel_ids.length);
  const pairsBytes = short_channel_ids.length * PAIR_BYTES;
  for (const pairs of [timestamps, checksums]) {
    assert(pairs === undefined || pairs.byteLength === pairsBytes, 'two numbers per short_channel_id');
  }
  let total = IDS_AT + idsBytes;
  if (timestamps !== undefined) total += 1 + bigSizeBytes(1 + pairsBytes) + 1 + pairsBytes;
  if (checksums !== undefined) total += 1 + bigSizeBytes(pairsBytes) + pairsBytes;
  assert(total <= MAX_MESSAGE_BYTES, 'too many short_channel_ids for a message');
  const raw = new Uint8Array(total);
  writeU16(raw, 0, TYPE);
  raw.set(fixedBytes('chain_hash', message.chain_hash, 32), 2);
  writeU32(raw, FIRST_AT, message.first_blocknum);
  writeU32(raw, COUNT_AT, message.number_of_blocks);
  raw[COMPLETE_AT] = message.sync_complete ? 1 : 0;
  writeU16(raw, LENGTH_AT, idsBytes);
  let at = writeShortIds(raw, IDS_AT, short_channel_ids);
  if (timestamps !== undefined) {
    at = writeBigSize(raw, writeBigSize(raw, at, TLV_TIMESTAMPS), 1 + pairsBytes);
    raw[at] = ENCODING_PLAIN;
    at = writePairs(raw, at + 1, timestamps);
  }
  if (checksums !== undefined) {
    at = writeBigSize(raw, writeBigSize(raw, at, TLV_CHECKSUMS), pairsBytes);
    writePairs(raw, at, checksums);
  }
  return raw;
};
