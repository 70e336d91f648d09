/**
 * query_channel_range (263): asks which channels were funded in a range of blocks (BOLT 7).
 *
 * Layout: chain_hash 32, u32 first_blocknum, u32 number_of_blocks, TLV 1 query_option (a BigSize bit field).
 * sync/ sends it and answers it with reply_channel_range. Whether the range makes sense is not judged here.
 */
import { concatBytes, readU32, writeU16, writeU32 } from '../base/bytes.ts';
import { bigSizeBits, bigSizeFault, bigSizeWidth, encodeBigSize } from './bigsize.ts';
import { type Decoded, wireFault } from './fault.ts';
import { fixedBytes } from './fixed_field.ts';
import { MESSAGE_TYPE } from './message_types.ts';
import { encodeTlvStream, readTlvStream } from './tlv.ts';

const TYPE = MESSAGE_TYPE.query_channel_range;
const FIRST_AT = 34;
const COUNT_AT = 38;
const TLVS_AT = 42;
const TLV_QUERY_OPTION = 1;
const TLVS: readonly number[] = [TLV_QUERY_OPTION];

/** The bits of query_option. */
export const QUERY_OPTION = { timestamps: 1, checksums: 2 } as const;

export interface QueryChannelRange {
  /** 32 bytes, a view of raw. */
  readonly chain_hash: Uint8Array;
  /** Block height, u32. */
  readonly first_blocknum: number;
  /** u32; the sum with first_blocknum may exceed u32. */
  readonly number_of_blocks: number;
  /** QUERY_OPTION bits; of more than 53 bits the lower 53. */
  readonly query_option?: number;
}

/** Reads the message; `raw` includes the type. chain_hash borrows from `raw`. */
export const decodeQueryChannelRange = (raw: Uint8Array): Decoded<QueryChannelRange> => {
  if (raw.length < TLVS_AT) return wireFault('too_short', TYPE, raw.length);
  const found: { query_option?: number } = {};
  const fault = readTlvStream(
    raw,
    TLVS_AT,
    TLVS,
    (_type, start, end) => {
      const width = bigSizeWidth(raw, start, end);
      if (width <= 0) return bigSizeFault(width);
      if (width !== end - start) return 'tlv_bad_length';
      found.query_option = bigSizeBits(raw, start);
      return undefined;
    },
    TYPE,
  );
  if (fault !== undefined) return fault;
  return {
    chain_hash: raw.subarray(2, FIRST_AT),
    first_blocknum: readU32(raw, FIRST_AT),
    number_of_blocks: readU32(raw, COUNT_AT),
    ...found,
  };
};

/** Throws Bug on a chain_hash that is not 32 bytes. */
export const encodeQueryChannelRange = (message: QueryChannelRange): Uint8Array => {
  const head = new Uint8Array(TLVS_AT);
  writeU16(head, 0, TYPE);
  head.set(fixedBytes('chain_hash', message.chain_hash, 32), 2);
  writeU32(head, FIRST_AT, message.first_blocknum);
  writeU32(head, COUNT_AT, message.number_of_blocks);
  if (message.query_option === undefined) return head;
  const option = encodeBigSize(message.query_option);
  return concatBytes(head, encodeTlvStream([{ type: TLV_QUERY_OPTION, value: option }]));
};
