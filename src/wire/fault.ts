/**
 * WireFault: why bytes do not decode. A value, never thrown (house rule: hostile input never throws across a folder).
 */

/** Closed list; each is also a metric label, a log field and a test title. */
export type WireFaultKind =
  | 'too_short'
  | 'unknown_even_type'
  | 'bigsize_truncated'
  | 'bigsize_not_minimal'
  | 'tlv_truncated'
  | 'tlv_not_increasing'
  | 'tlv_unknown_even'
  | 'tlv_bad_length'
  | 'truncated_integer_not_minimal'
  | 'bad_encoding'
  | 'bad_array_length'
  | 'flags_count_mismatch'
  | 'addresses_too_short'
  | 'bad_point'
  | 'same_node_ids'
  | 'amount_out_of_range';

export interface WireFault {
  readonly fault: WireFaultKind;
  /** Message type, or the TLV type for a stream on its own. */
  readonly type: number;
  /** Byte offset in the message where it went wrong. */
  readonly offset: number;
}

/** What a decoder returns. */
export type Decoded<T> = T | WireFault;

export const wireFault = (fault: WireFaultKind, type: number, offset: number): WireFault => ({
  fault,
  type,
  offset,
});

export const isWireFault = (decoded: unknown): decoded is WireFault =>
  typeof decoded === 'object' && decoded !== null && 'fault' in decoded;
