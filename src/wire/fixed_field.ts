/**
 * Fields of fixed length on their way into a message that we encode ourselves.
 *
 * The gossip encoders hand in what a caller of ours put together; a wrong length is our own mistake, so it throws Bug.
 * Received bytes never pass through here.
 */
import { fromHex } from '../base/bytes.ts';
import { assert } from '../base/errors.ts';

/** Longest array whose length fits the u16 in front of it. */
const MAX_COUNTED_BYTES = 65535;

/** The array itself once its length is right; throws Bug otherwise. */
export const fixedBytes = (name: string, bytes: Uint8Array, length: number): Uint8Array => {
  assert(bytes.length === length, `${name} must have ${length} bytes, not ${bytes.length}`);
  return bytes;
};

/** The bytes of a hex text; throws Bug unless there are exactly `length`. */
export const fixedHex = (name: string, text: string, length: number): Uint8Array => {
  const bytes = fromHex(text);
  assert(bytes !== undefined && bytes.length === length, `${name} must be hex of ${length} bytes`);
  return bytes;
};

/** The array itself once its length fits a u16; throws Bug otherwise. */
export const countedBytes = (name: string, bytes: Uint8Array): Uint8Array => {
  assert(bytes.length <= MAX_COUNTED_BYTES, `${name} has ${bytes.length} bytes, more than a u16 can count`);
  return bytes;
};
