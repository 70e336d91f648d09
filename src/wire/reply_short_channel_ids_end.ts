/**
 * reply_short_channel_ids_end (262): ends the answer to query_short_channel_ids, found or not (BOLT 7; Q-09).
 *
 * Layout: chain_hash 32, u8 full_information. A byte other than 0 counts as true.
 */
import { writeU16 } from '../base/bytes.ts';
import { type Decoded, wireFault } from './fault.ts';
import { fixedBytes } from './fixed_field.ts';
import { MESSAGE_TYPE } from './message_types.ts';
import { checkExtension } from './tlv.ts';

const TYPE = MESSAGE_TYPE.reply_short_channel_ids_end;
const FULL_INFORMATION_AT = 34;
const TOTAL_BYTES = 35;

export interface ReplyShortChannelIdsEnd {
  /** 32 bytes, a view of raw. */
  readonly chain_hash: Uint8Array;
  /** False when the sender does not keep up with this chain. */
  readonly full_information: boolean;
}

/** Reads the message; `raw` includes the type. chain_hash borrows from `raw`. */
export const decodeReplyShortChannelIdsEnd = (raw: Uint8Array): Decoded<ReplyShortChannelIdsEnd> => {
  if (raw.length < TOTAL_BYTES) return wireFault('too_short', TYPE, raw.length);
  return (
    checkExtension(raw, TOTAL_BYTES, TYPE) ?? {
      chain_hash: raw.subarray(2, FULL_INFORMATION_AT),
      full_information: raw[FULL_INFORMATION_AT] !== 0,
    }
  );
};

/** Throws Bug on a chain_hash that is not 32 bytes. */
export const encodeReplyShortChannelIdsEnd = (message: ReplyShortChannelIdsEnd): Uint8Array => {
  const raw = new Uint8Array(TOTAL_BYTES);
  writeU16(raw, 0, TYPE);
  raw.set(fixedBytes('chain_hash', message.chain_hash, 32), 2);
  raw[FULL_INFORMATION_AT] = message.full_information ? 1 : 0;
  return raw;
};
