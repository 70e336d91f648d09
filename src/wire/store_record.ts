/**
 * A record of the gossip_store as its readers see it: header fields, and the message as a range of some byte array.
 *
 * Lives in wire/ because the store hands records to the graph and to followers, which do not know the store.
 * Header layout (version 7 and later, big-endian): u16 flags, u16 len, u32 crc, u32 timestamp, then the message.
 */

/** The record is dead; readers skip it. */
export const FLAG_DELETED = 0x8000;
/** Fully written; readers stop at the first record without it (version 15 and later). */
export const FLAG_COMPLETED = 0x2000;
/** The channel's funding is spent; the record is not forwarded to peers. */
export const FLAG_DYING = 0x0800;

export const RECORD_HEADER_BYTES = 12;

/** Message types that exist only in the store. */
export const GOSSIP_STORE_CHANNEL_AMOUNT = 4101;
export const GOSSIP_STORE_DELETE_CHAN = 4103;
export const GOSSIP_STORE_ENDED = 4105;
export const GOSSIP_STORE_CHAN_DYING = 4106;
export const GOSSIP_STORE_UUID = 4107;

/** Where a record's message starts in the file (after the header), as CLN counts. Exact beyond 4 GiB. */
export type StoreOffset = number & { readonly __brand: 'StoreOffset' };

export const storeOffset = (value: number): StoreOffset => value as StoreOffset;

/**
 * One record. Walkers reuse a single mutable object and buffer: everything in it is borrowed until the visitor returns.
 */
export interface StoreRecord {
  /** The array that holds the message. */
  readonly bytes: Uint8Array;
  /** Index in `bytes` of the message's two-byte type. */
  readonly at: number;
  /** Message length in bytes, the type included. */
  readonly length: number;
  /** The message's type. */
  readonly type: number;
  /** Header flags. */
  readonly flags: number;
  /** Header timestamp in Unix seconds. */
  readonly timestamp: number;
  /** Where the message is in the file. */
  readonly offset: StoreOffset;
}
