/**
 * The layout that error and warning share: channel_id 32, u16 length, data (BOLT 1, The error and warning Messages).
 *
 * error.ts and warning.ts give it their types. Data is whatever the peer put there: show it only through `printable`.
 */
import { readU16, writeU16 } from '../base/bytes.ts';
import { assert } from '../base/errors.ts';
import { type Decoded, wireFault } from './fault.ts';
import { fixedBytes } from './fixed_field.ts';
import { MAX_MESSAGE_BYTES, TYPE_BYTES } from './message_types.ts';
import { checkExtension } from './tlv.ts';

const CHANNEL_ID_BYTES = 32;
const LENGTH_AT = TYPE_BYTES + CHANNEL_ID_BYTES;
const DATA_AT = LENGTH_AT + 2;

/** What fits behind type, channel_id and length: 65535 - 36 = 65499 bytes. */
export const MAX_NOTICE_DATA_BYTES = MAX_MESSAGE_BYTES - DATA_AT;

/** The channel_id that means the connection as a whole (B1-32). Never written to. */
export const NO_CHANNEL_ID: Uint8Array = new Uint8Array(CHANNEL_ID_BYTES);

export interface Notice {
  /** 32 bytes; all zero when no single channel is meant. A view of raw. */
  readonly channel_id: Uint8Array;
  /** May be empty (B1-32). A view of raw. */
  readonly data: Uint8Array;
}

/** Reads a message of the given type; `raw` includes the type. The fields borrow from `raw`. */
export const decodeNotice = (raw: Uint8Array, type: number): Decoded<Notice> => {
  if (raw.length < DATA_AT) return wireFault('too_short', type, raw.length);
  const end = DATA_AT + readU16(raw, LENGTH_AT);
  if (end > raw.length) return wireFault('too_short', type, raw.length);
  return (
    checkExtension(raw, end, type) ?? {
      channel_id: raw.subarray(TYPE_BYTES, LENGTH_AT),
      data: raw.subarray(DATA_AT, end),
    }
  );
};

/** Throws Bug on a channel_id that is not 32 bytes or on too much data. */
export const encodeNotice = (message: Notice, type: number): Uint8Array => {
  assert(message.data.length <= MAX_NOTICE_DATA_BYTES, 'data does not fit into a message');
  const raw = new Uint8Array(DATA_AT + message.data.length);
  writeU16(raw, 0, type);
  raw.set(fixedBytes('channel_id', message.channel_id, CHANNEL_ID_BYTES), TYPE_BYTES);
  writeU16(raw, LENGTH_AT, message.data.length);
  raw.set(message.data, DATA_AT);
  return raw;
};

/** Longest text that `printable` gives unless told otherwise: peers do not get to fill our logs. */
export const MAX_PRINTABLE_CHARACTERS = 1024;

/** The printable ASCII characters (32 to 126) of `data`, all others left out (B1-24), the first `limit` of them. */
export const printable = (data: Uint8Array, limit: number = MAX_PRINTABLE_CHARACTERS): string => {
  let text = '';
  for (const byte of data) {
    if (text.length >= limit) break;
    if (byte >= 32 && byte <= 126) text += String.fromCharCode(byte);
  }
  return text;
};

/** ASCII text as data; other characters become `?`. For the notices that we send. */
export const noticeData = (text: string): Uint8Array =>
  Uint8Array.from(text, (character) => {
    const code = character.charCodeAt(0);
    return code >= 32 && code <= 126 ? code : 63;
  });
