/**
 * ping (18): asks for a pong of a given size, to see that the peer lives (BOLT 1, The ping and pong Messages).
 *
 * Layout: u16 num_pong_bytes, u16 byteslen, that many ignored bytes. Ours are zeros (B1-25): arrays are born zeroed.
 * peer/ answers with `pongFor`.
 */
import { readU16, writeU16 } from '../base/bytes.ts';
import { assert } from '../base/errors.ts';
import { type Decoded, wireFault } from './fault.ts';
import { MAX_MESSAGE_BYTES, MESSAGE_TYPE, TYPE_BYTES } from './message_types.ts';
import type { Pong } from './pong.ts';
import { checkExtension } from './tlv.ts';

const TYPE = MESSAGE_TYPE.ping;
const PADDING_AT = TYPE_BYTES + 4;

/** 65535 - 6: what fits behind the fixed fields. */
export const MAX_PING_PADDING_BYTES = MAX_MESSAGE_BYTES - PADDING_AT;

/** From this num_pong_bytes on, a ping wants no answer: 65531 is the most that fits into a pong (B1-26). */
export const NO_PONG_FROM_BYTES = 65532;

export interface Ping {
  /** Size of the pong that is wanted, 0 to 65535. */
  readonly num_pong_bytes: number;
  /** Bytes of padding in this message. */
  readonly byteslen: number;
}

/** Reads a ping; `raw` includes the type. */
export const decodePing = (raw: Uint8Array): Decoded<Ping> => {
  if (raw.length < PADDING_AT) return wireFault('too_short', TYPE, raw.length);
  const byteslen = readU16(raw, TYPE_BYTES + 2);
  if (PADDING_AT + byteslen > raw.length) return wireFault('too_short', TYPE, raw.length);
  return (
    checkExtension(raw, PADDING_AT + byteslen, TYPE) ?? { num_pong_bytes: readU16(raw, TYPE_BYTES), byteslen }
  );
};

/** Pads with zeros (B1-25). Throws Bug on fields out of range. */
export const encodePing = (message: Ping): Uint8Array => {
  const { num_pong_bytes, byteslen } = message;
  assert(num_pong_bytes >= 0 && num_pong_bytes <= 0xffff, 'num_pong_bytes out of range');
  assert(byteslen >= 0 && byteslen <= MAX_PING_PADDING_BYTES, 'byteslen out of range');
  const raw = new Uint8Array(PADDING_AT + byteslen);
  writeU16(raw, 0, TYPE);
  writeU16(raw, TYPE_BYTES, num_pong_bytes);
  writeU16(raw, TYPE_BYTES + 2, byteslen);
  return raw;
};

/** The pong that answers this ping, or undefined when it must go unanswered (B1-26). */
export const pongFor = (ping: Ping): Pong | undefined =>
  ping.num_pong_bytes < NO_PONG_FROM_BYTES ? { byteslen: ping.num_pong_bytes } : undefined;
