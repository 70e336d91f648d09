/**
 * query_short_channel_ids (261): asks for what is known of the channels listed (BOLT 7).
 *
 * Layout: chain_hash 32, u16 length, encoded_short_ids, TLV 1 query_flags (encoding byte, one BigSize per channel).
 * sync/ asks with it and answers it; reply_short_channel_ids_end ends the answer. Bounded by the message: 8187 ids
 * without flags, MAX_SHORT_IDS_PER_QUERY with.
 */
import { concatBytes, readU16, writeU16 } from '../base/bytes.ts';
import { assert } from '../base/errors.ts';
import {
  encodeQueryFlags,
  readQueryFlags,
  readShortIds,
  shortIdsBytes,
  writeShortIds,
} from './encoded_array.ts';
import { type Decoded, wireFault } from './fault.ts';
import { fixedBytes } from './fixed_field.ts';
import { MAX_MESSAGE_BYTES, MESSAGE_TYPE } from './message_types.ts';
import { encodeTlvStream, readTlvStream } from './tlv.ts';

const TYPE = MESSAGE_TYPE.query_short_channel_ids;
const LENGTH_AT = 34;
const IDS_AT = 36;
const TLV_QUERY_FLAGS = 1;
const TLVS: readonly number[] = [TLV_QUERY_FLAGS];

/** The bits of a query flag. */
export const QUERY_FLAG = {
  channel_announcement: 1,
  channel_update_1: 2,
  channel_update_2: 4,
  node_announcement_1: 8,
  node_announcement_2: 16,
} as const;

/**
 * Ids that fit into one message together with a one-byte flag each:
 * 2 type + 32 chain + 2 length + 1 encoding + 8n, then 1 TLV type + 3 TLV length + 1 encoding + n, at most 65535.
 */
export const MAX_SHORT_IDS_PER_QUERY = Math.floor((MAX_MESSAGE_BYTES - 42) / 9);

export interface QueryShortChannelIds {
  /** 32 bytes, a view of raw. */
  readonly chain_hash: Uint8Array;
  /** In the order of the wire, which should be ascending. A copy. */
  readonly short_channel_ids: BigUint64Array;
  /** One QUERY_FLAG set per id, by index; a view of raw when all are below 253. Absent: everything is wanted. */
  readonly query_flags?: Uint8Array | readonly number[];
}

/** Reads the message; `raw` includes the type. Fields borrow from `raw` where said. */
export const decodeQueryShortChannelIds = (raw: Uint8Array): Decoded<QueryShortChannelIds> => {
  if (raw.length < IDS_AT) return wireFault('too_short', TYPE, raw.length);
  const idsEnd = IDS_AT + readU16(raw, LENGTH_AT);
  if (idsEnd > raw.length) return wireFault('too_short', TYPE, raw.length);
  const short_channel_ids = readShortIds(raw, IDS_AT, idsEnd);
  if (typeof short_channel_ids === 'string') return wireFault(short_channel_ids, TYPE, IDS_AT);
  const found: { query_flags?: Uint8Array | readonly number[] } = {};
  const fault = readTlvStream(
    raw,
    idsEnd,
    TLVS,
    (_type, start, end) => {
      const flags = readQueryFlags(raw, start, end, short_channel_ids.length);
      if (typeof flags === 'string') return flags;
      found.query_flags = flags;
      return undefined;
    },
    TYPE,
  );
  return fault ?? { chain_hash: raw.subarray(2, LENGTH_AT), short_channel_ids, ...found };
};

/** Throws Bug when the flags are not one per id, or when it all does not fit into a message. */
export const encodeQueryShortChannelIds = (message: QueryShortChannelIds): Uint8Array => {
  const { short_channel_ids, query_flags } = message;
  const idsBytes = shortIdsBytes(short_channel_ids.length);
  assert(IDS_AT + idsBytes <= MAX_MESSAGE_BYTES, 'too many short_channel_ids for a message');
  const head = new Uint8Array(IDS_AT + idsBytes);
  writeU16(head, 0, TYPE);
  head.set(fixedBytes('chain_hash', message.chain_hash, 32), 2);
  writeU16(head, LENGTH_AT, idsBytes);
  writeShortIds(head, IDS_AT, short_channel_ids);
  if (query_flags === undefined) return head;
  assert(query_flags.length === short_channel_ids.length, 'one query flag per short_channel_id');
  const raw = concatBytes(
    head,
    encodeTlvStream([{ type: TLV_QUERY_FLAGS, value: encodeQueryFlags(query_flags) }]),
  );
  assert(raw.length <= MAX_MESSAGE_BYTES, 'query flags do not fit into the message');
  return raw;
};
