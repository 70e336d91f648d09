/**
 * pong (19): the answer to a ping (BOLT 1, The ping and pong Messages). Layout: u16 byteslen, that many ignored bytes.
 *
 * peer/ compares byteslen with what its ping asked for (B1-27). Our padding is zeros (B1-25).
 */
import { readU16, writeU16 } from '../base/bytes.ts';
import { assert } from '../base/errors.ts';
import { type Decoded, wireFault } from './fault.ts';
import { MAX_MESSAGE_BYTES, MESSAGE_TYPE, TYPE_BYTES } from './message_types.ts';
import { checkExtension } from './tlv.ts';

const TYPE = MESSAGE_TYPE.pong;
const PADDING_AT = TYPE_BYTES + 2;

/** 65535 - 4: what fits behind the fixed fields. */
export const MAX_PONG_PADDING_BYTES = MAX_MESSAGE_BYTES - PADDING_AT;

export interface Pong {
  /** Bytes of padding in this message. */
  readonly byteslen: number;
}

/** Reads a pong; `raw` includes the type. */
export const decodePong = (raw: Uint8Array): Decoded<Pong> => {
  if (raw.length < PADDING_AT) return wireFault('too_short', TYPE, raw.length);
  const byteslen = readU16(raw, TYPE_BYTES);
  if (PADDING_AT + byteslen > raw.length) return wireFault('too_short', TYPE, raw.length);
  return checkExtension(raw, PADDING_AT + byteslen, TYPE) ?? { byteslen };
};

/** Pads with zeros (B1-25). Throws Bug when byteslen is out of range. */
export const encodePong = (message: Pong): Uint8Array => {
  assert(message.byteslen >= 0 && message.byteslen <= MAX_PONG_PADDING_BYTES, 'byteslen out of range');
  const raw = new Uint8Array(PADDING_AT + message.byteslen);
  writeU16(raw, 0, TYPE);
  writeU16(raw, TYPE_BYTES, message.byteslen);
  return raw;
};
