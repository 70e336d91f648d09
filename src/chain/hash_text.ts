/**
 * Hashes of transactions and blocks as people and servers write them: 64 hex digits, the reverse of the order in which they are
 * hashed. And the hex of whole transactions, which is long. Values come from servers: whatever is not such text is undefined.
 */
import { fromHex, toHex } from '../base/bytes.ts';

const HASH_TEXT = /^[0-9a-fA-F]{64}$/;

/** Lowercase; the 32 bytes are borrowed. */
export const hashToText = (hash: Uint8Array): string => toHex(Uint8Array.from(hash).reverse());

/** True if it is the text of a hash. Cheap: histories have a hundred thousand of them. */
export const isHashText = (text: unknown): text is string => typeof text === 'string' && HASH_TEXT.test(text);

/** 32 bytes as hashed; undefined when the value is not text of 64 hex digits. */
export const hashFromText = (text: unknown): Uint8Array | undefined =>
  isHashText(text) ? fromHex(text)?.reverse() : undefined;

/** Value of a hex digit by its character code; 16 for everything else. */
const NIBBLES = Uint8Array.from({ length: 128 }, (_, code) => {
  const value = Number.parseInt(String.fromCharCode(code), 16);
  return Number.isNaN(value) ? 16 : value;
});

/** Bytes of long hex (a transaction has up to 8 MB of it); undefined when the value is not text of an even number of digits. */
export const bytesFromHexText = (text: unknown): Uint8Array | undefined => {
  if (typeof text !== 'string' || text.length % 2 !== 0) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let index = 0; index < bytes.length; index++) {
    const high = NIBBLES[text.charCodeAt(index * 2)] ?? 16;
    const low = NIBBLES[text.charCodeAt(index * 2 + 1)] ?? 16;
    if ((high | low) > 15) return undefined;
    bytes[index] = (high << 4) | low;
  }
  return bytes;
};
