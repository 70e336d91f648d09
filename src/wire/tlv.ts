/**
 * TLV streams: the optional records that end a message (BOLT 1, Type-Length-Value Format).
 *
 * A record is a BigSize type, a BigSize length and that many bytes. Types strictly increase; an unknown even type
 * spoils the whole stream, an unknown odd one is skipped (B1-09, B1-10). Known types are handed to a visitor as a range of
 * the message, without a copy. A stream is bounded by the message's 65535 bytes, and walking it is linear.
 */
import { assert } from '../base/errors.ts';
import {
  bigSizeBytes,
  bigSizeFault,
  bigSizeHi,
  bigSizeLo,
  bigSizeNumber,
  bigSizeWidth,
  writeBigSize,
} from './bigsize.ts';
import { type WireFault, type WireFaultKind, wireFault } from './fault.ts';

/**
 * Reads the value of a known record, `bytes[start, end)`; gives the fault if it is not as its type demands.
 * Must consume all of it: a value longer than its type knows is `tlv_bad_length`.
 */
export type TlvVisitor = (type: number, start: number, end: number) => WireFaultKind | undefined;

/** No types are known: for messages whose extension carries nothing yet. */
export const NO_TLVS: readonly number[] = [];

const nothing = (): undefined => undefined;

/**
 * Walks the stream `bytes[at, bytes.length)`, calling `visit` for each record whose type is in `known`. Undefined when the
 * whole stream is valid; else the fault, with `messageType` or, for a stream on its own, the type of the record.
 * A fault may come after some visits: throw away what they gathered.
 */
export const readTlvStream = (
  bytes: Uint8Array,
  at: number,
  known: readonly number[],
  visit: TlvVisitor = nothing,
  messageType?: number,
): WireFault | undefined => {
  const end = bytes.length;
  // The type as two halves: 64-bit types are compared exactly without a bigint for each record.
  let previousHi = -1;
  let previousLo = -1;
  let position = at;
  while (position < end) {
    const typeWidth = bigSizeWidth(bytes, position, end);
    if (typeWidth <= 0) return wireFault(bigSizeFault(typeWidth), messageType ?? 0, position);
    const hi = bigSizeHi(bytes, position);
    const lo = bigSizeLo(bytes, position);
    const type = bigSizeNumber(bytes, position);
    if (hi < previousHi || (hi === previousHi && lo <= previousLo)) {
      return wireFault('tlv_not_increasing', messageType ?? type, position);
    }
    const lengthAt = position + typeWidth;
    const lengthWidth = bigSizeWidth(bytes, lengthAt, end);
    if (lengthWidth <= 0) return wireFault(bigSizeFault(lengthWidth), messageType ?? type, lengthAt);
    const start = lengthAt + lengthWidth;
    const length = bigSizeNumber(bytes, lengthAt);
    if (length > end - start) return wireFault('tlv_truncated', messageType ?? type, lengthAt);
    // Rounding of types above 2^53 does no harm here: no known type is anywhere near.
    if (known.includes(type)) {
      const fault = visit(type, start, start + length);
      if (fault !== undefined) return wireFault(fault, messageType ?? type, start);
    } else if ((lo & 1) === 0) {
      return wireFault('tlv_unknown_even', messageType ?? type, position);
    }
    previousHi = hi;
    previousLo = lo;
    position = start + length;
  }
  return undefined;
};

/** Checks the extension of a message that has no TLVs of its own: anything odd may stand there (B1-06). */
export const checkExtension = (raw: Uint8Array, at: number, messageType: number): WireFault | undefined =>
  at === raw.length ? undefined : readTlvStream(raw, at, NO_TLVS, nothing, messageType);

export interface TlvRecord {
  /** In [0, 2^64). */
  readonly type: number | bigint;
  readonly value: Uint8Array;
}

/** The stream of `records`, which must be in strictly increasing order of type (B1-08; Bug otherwise). */
export const encodeTlvStream = (records: readonly TlvRecord[]): Uint8Array => {
  let total = 0;
  let previous: number | bigint = -1;
  for (const { type, value } of records) {
    assert(type > previous, 'TLV types must increase');
    previous = type;
    total += bigSizeBytes(type) + bigSizeBytes(value.length) + value.length;
  }
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const { type, value } of records) {
    at = writeBigSize(bytes, writeBigSize(bytes, at, type), value.length);
    bytes.set(value, at);
    at += value.length;
  }
  return bytes;
};
