/**
 * announcement_signatures (259): one end of a channel hands the other its half of the signatures of a
 * channel_announcement (BOLT 7).
 *
 * Layout: channel_id 32, short_channel_id 8, node_signature 64, bitcoin_signature 64. gossipd has no channels, so one
 * that arrives can only be answered with a warning (B7-46).
 */
import { readU32, writeU16, writeU64 } from '../base/bytes.ts';
import { type ShortChannelId, scidFromHalves } from '../base/short_channel_id.ts';
import { type Decoded, wireFault } from './fault.ts';
import { fixedBytes } from './fixed_field.ts';
import { MESSAGE_TYPE } from './message_types.ts';
import { checkExtension } from './tlv.ts';

const TYPE = MESSAGE_TYPE.announcement_signatures;
/** 2 + 32 + 8 + 64 + 64. */
const TOTAL_BYTES = 170;

export interface AnnouncementSignatures {
  /** 32 bytes, a view of raw. */
  readonly channel_id: Uint8Array;
  readonly short_channel_id: ShortChannelId;
  /** 64 bytes, compact, a view of raw. */
  readonly node_signature: Uint8Array;
  /** 64 bytes, compact, a view of raw. */
  readonly bitcoin_signature: Uint8Array;
}

/** Reads the message; `raw` includes the type. The fields borrow from `raw`. */
export const decodeAnnouncementSignatures = (raw: Uint8Array): Decoded<AnnouncementSignatures> => {
  if (raw.length < TOTAL_BYTES) return wireFault('too_short', TYPE, raw.length);
  return (
    checkExtension(raw, TOTAL_BYTES, TYPE) ?? {
      channel_id: raw.subarray(2, 34),
      short_channel_id: scidFromHalves(readU32(raw, 34), readU32(raw, 38)),
      node_signature: raw.subarray(42, 106),
      bitcoin_signature: raw.subarray(106, TOTAL_BYTES),
    }
  );
};

/** Throws Bug on a field of the wrong length. */
export const encodeAnnouncementSignatures = (message: AnnouncementSignatures): Uint8Array => {
  const raw = new Uint8Array(TOTAL_BYTES);
  writeU16(raw, 0, TYPE);
  raw.set(fixedBytes('channel_id', message.channel_id, 32), 2);
  writeU64(raw, 34, message.short_channel_id);
  raw.set(fixedBytes('node_signature', message.node_signature, 64), 42);
  raw.set(fixedBytes('bitcoin_signature', message.bitcoin_signature, 64), 106);
  return raw;
};
