/**
 * Records of a pretended gossip_store, for the tests and the bench of the graph. Not part of the package.
 *
 * Messages have the layout of BOLT 7 and of the store, with zero signatures: the graph takes what the store hands it and
 * judges no signature. SampleStore gives each record the offset that it would have in a file.
 */
import { writeU16, writeU32, writeU64 } from '../base/bytes.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';
import { encodeChanDying, encodeChannelAmount, encodeDeleteChan } from '../wire/gossip_store_messages.ts';
import { FLAG_COMPLETED, RECORD_HEADER_BYTES, type StoreRecord, storeOffset } from '../wire/store_record.ts';

/** A node id that differs from another number's in the bytes that count for order, and in its last ones. */
export const sampleNodeId = (number: number): Uint8Array => {
  const bytes = new Uint8Array(NODE_ID_BYTES);
  bytes[0] = 2;
  writeU32(bytes, 1, number);
  writeU32(bytes, 29, Math.imul(number, 2654435761));
  return bytes;
};

export interface SampleChannel {
  readonly hi: number;
  readonly lo: number;
  readonly node1: Uint8Array;
  readonly node2: Uint8Array;
  readonly features?: Uint8Array;
}

export const announcementBytes = (channel: SampleChannel): Uint8Array => {
  const features = channel.features ?? new Uint8Array(0);
  const bytes = new Uint8Array(432 + features.length);
  const at = 260 + features.length;
  writeU16(bytes, 0, 256);
  writeU16(bytes, 258, features.length);
  bytes.set(features, 260);
  writeU32(bytes, at + 32, channel.hi);
  writeU32(bytes, at + 36, channel.lo);
  bytes.set(channel.node1, at + 40);
  bytes.set(channel.node2, at + 73);
  return bytes;
};

export interface SampleUpdate {
  readonly hi: number;
  readonly lo: number;
  readonly direction: 0 | 1;
  readonly timestamp: number;
  readonly disabled?: boolean;
  readonly messageFlags?: number;
  readonly delay?: number;
  readonly htlcMinimum?: bigint;
  readonly feeBase?: number;
  readonly feeProportional?: number;
  readonly htlcMaximum?: bigint;
}

export const updateBytes = (update: SampleUpdate): Uint8Array => {
  const bytes = new Uint8Array(138);
  writeU16(bytes, 0, 258);
  writeU32(bytes, 98, update.hi);
  writeU32(bytes, 102, update.lo);
  writeU32(bytes, 106, update.timestamp);
  bytes[110] = update.messageFlags ?? 1;
  bytes[111] = update.direction | (update.disabled === true ? 2 : 0);
  writeU16(bytes, 112, update.delay ?? 144);
  writeU64(bytes, 114, update.htlcMinimum ?? 1n);
  writeU32(bytes, 122, update.feeBase ?? 1000);
  writeU32(bytes, 126, update.feeProportional ?? 100);
  writeU64(bytes, 130, update.htlcMaximum ?? 1_000_000_000n);
  return bytes;
};

export const nodeAnnouncementBytes = (
  nodeId: Uint8Array,
  timestamp: number,
  alias = '',
  addresses: Uint8Array = new Uint8Array(0),
): Uint8Array => {
  const bytes = new Uint8Array(142 + addresses.length);
  writeU16(bytes, 0, 257);
  writeU32(bytes, 68, timestamp);
  bytes.set(nodeId, 72);
  bytes.set([0x12, 0xab, 0xff], 105);
  bytes.set(new TextEncoder().encode(alias), 108);
  writeU16(bytes, 140, addresses.length);
  bytes.set(addresses, 142);
  return bytes;
};

type MutableRecord = { -readonly [Key in keyof StoreRecord]: StoreRecord[Key] };

/** Places messages one behind the other. */
export class SampleStore {
  #end: number;

  /** @param start file length to begin with: 1 is an empty store */
  constructor(start = 1) {
    this.#end = start;
  }

  record(bytes: Uint8Array, flags = 0, timestamp = 0): MutableRecord {
    const offset = this.#end + RECORD_HEADER_BYTES;
    this.#end = offset + bytes.length;
    const type = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
    return {
      bytes,
      at: 0,
      length: bytes.length,
      type,
      flags: FLAG_COMPLETED | flags,
      timestamp,
      offset: storeOffset(offset),
    };
  }

  /** An announcement and its amount. */
  channel(channel: SampleChannel, satoshis: bigint, flags = 0): [MutableRecord, MutableRecord] {
    return [this.record(announcementBytes(channel), flags), this.amount(satoshis)];
  }

  /** Any 64-bit value, also those that the encoder refuses. */
  amount(satoshis: bigint): MutableRecord {
    const bytes = encodeChannelAmount(0n);
    writeU64(bytes, 2, satoshis);
    return this.record(bytes);
  }

  update(update: SampleUpdate): MutableRecord {
    return this.record(updateBytes(update), 0, update.timestamp);
  }

  node(nodeId: Uint8Array, timestamp: number): MutableRecord {
    return this.record(nodeAnnouncementBytes(nodeId, timestamp), 0, timestamp);
  }

  removal(hi: number, lo: number): MutableRecord {
    return this.record(encodeDeleteChan(hi, lo));
  }

  dying(hi: number, lo: number, deadline: number): MutableRecord {
    return this.record(encodeChanDying(hi, lo, deadline));
  }
}
