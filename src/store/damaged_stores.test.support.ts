/**
 * Good stores of every version for tests, and the ways to damage them.
 *
 * Tests of the salvage reader, the audit, repair and conversion build a store with `goodStore`, spoil its bytes with the
 * recipes below, and know from `records` what has to be found again. Every recipe returns new bytes. Channels are numbered
 * from 0: channel n is between nodes 2n and 2n+1, and has an announcement with its amount, an update for each direction, and a
 * node_announcement for each node.
 */
import { concatBytes, writeU16, writeU32, writeU64 } from '../base/bytes.ts';
import { NETWORKS } from '../base/chain_hash.ts';
import { OperationalError } from '../base/errors.ts';
import type { NodeId } from '../base/node_id.ts';
import { type Rng, seededRng } from '../base/rng.ts';
import { scidFromParts, scidHi, scidLo } from '../base/short_channel_id.ts';
import { encodeChannelAnnouncement } from '../wire/channel_announcement.ts';
import { encodeChannelUpdate } from '../wire/channel_update.ts';
import {
  encodeChanDying,
  encodeChannelAmount,
  encodeDeleteChan,
  encodeUuid,
} from '../wire/gossip_store_messages.ts';
import { encodeNodeAnnouncement } from '../wire/node_announcement.ts';
import { OBSOLETE_TYPE } from '../wire/obsolete_store_messages.ts';
import { FLAG_COMPLETED, FLAG_DELETED, FLAG_DYING } from '../wire/store_record.ts';
import type { StoreFile } from './store_file.ts';
import { recordChecksum, type StoreFormat, storeFormat } from './versions.ts';

export interface GoodRecord {
  /** Header position. */
  readonly position: number;
  /** Message length. */
  readonly length: number;
  readonly type: number;
  /** As in the header. */
  readonly flags: number;
  readonly timestamp: number;
  /** The message. */
  readonly bytes: Uint8Array;
  /** Header position of the record behind it. */
  readonly end: number;
}

export interface GoodStore {
  readonly bytes: Uint8Array;
  readonly records: readonly GoodRecord[];
  readonly format: StoreFormat;
}

export interface GoodStoreOptions {
  /** Adds the records of private channels that versions 4 to 12 may hold. */
  readonly withPrivate?: boolean;
  /** Replaces the first update of every channel, and leaves the replaced one flagged DELETED (version 5 and later). */
  readonly withDeleted?: boolean;
  /** Announces that channel 0 dies (version 12 and later). */
  readonly withDying?: boolean;
  /** Removes the last channel again (version 8 and later). */
  readonly withRemoved?: boolean;
  /** Updates without htlc_maximum_msat in one direction (up to version 10). */
  readonly withShortUpdates?: boolean;
  /** Leaves out node_announcements. */
  readonly withoutNodes?: boolean;
  /** 32 bytes; 32 times 0x5a unless given. */
  readonly uuid?: Uint8Array;
}

export const GOOD_TIMESTAMP = 1_700_000_000;

const nodeId = (node: number): NodeId => `02${node.toString(16).padStart(64, '0')}` as NodeId;

export const goodScid = (channel: number) => scidFromParts(100_000 + channel, 1, 0);

/** Signatures are noise, the same in every run. */
export const goodAnnouncement = (channel: number, features: Uint8Array = new Uint8Array(0)): Uint8Array => {
  const rng = seededRng(channel);
  return encodeChannelAnnouncement({
    node_signature_1: rng.bytes(64),
    node_signature_2: rng.bytes(64),
    bitcoin_signature_1: rng.bytes(64),
    bitcoin_signature_2: rng.bytes(64),
    features,
    chain_hash: NETWORKS.regtest.chain_hash,
    short_channel_id: goodScid(channel),
    node_id_1: nodeId(2 * channel),
    node_id_2: nodeId(2 * channel + 1),
    bitcoin_key_1: nodeId(2 * channel),
    bitcoin_key_2: nodeId(2 * channel + 1),
    tail: new Uint8Array(0),
  });
};

export const goodUpdate = (
  channel: number,
  direction: 0 | 1,
  timestamp: number,
  tail: Uint8Array = new Uint8Array(0),
): Uint8Array =>
  encodeChannelUpdate({
    signature: seededRng(channel + timestamp).bytes(64),
    chain_hash: NETWORKS.regtest.chain_hash,
    short_channel_id: goodScid(channel),
    timestamp,
    message_flags: 1,
    channel_flags: direction,
    cltv_expiry_delta: 40,
    htlc_minimum_msat: 1n,
    fee_base_msat: 1000,
    fee_proportional_millionths: 1,
    htlc_maximum_msat: 1_000_000_000n,
    tail,
  });

export const goodNode = (node: number, timestamp: number, tail = new Uint8Array(0)): Uint8Array =>
  encodeNodeAnnouncement({
    signature: seededRng(node + timestamp).bytes(64),
    features: new Uint8Array(0),
    timestamp,
    node_id: nodeId(node),
    rgb_color: Uint8Array.of(1, 2, 3),
    alias: new Uint8Array(32).fill(0x61, 0, 5),
    addressBytes: new Uint8Array(0),
    tail,
  });

export interface RecordFields {
  readonly timestamp?: number;
  /** COMPLETED where the version has it, unless given. */
  readonly flags?: number;
}

/** A whole record with its header in the layout of `format`. */
export const rec = (format: StoreFormat, message: Uint8Array, fields: RecordFields = {}): Uint8Array => {
  const { timestamp = 0, flags = format.hasCompleted ? FLAG_COMPLETED : 0 } = fields;
  const bytes = new Uint8Array(format.headerBytes + message.length);
  writeU16(bytes, 0, flags);
  writeU16(bytes, 2, message.length);
  writeU32(bytes, 4, recordChecksum(format, timestamp, message, 0, message.length));
  if (format.headerBytes === 12) writeU32(bytes, 8, timestamp);
  bytes.set(message, format.headerBytes);
  return bytes;
};

const counted = (type: number, message: Uint8Array, behind: Uint8Array = new Uint8Array(0)): Uint8Array => {
  const head = new Uint8Array(4);
  writeU16(head, 0, type);
  writeU16(head, 2, message.length);
  return concatBytes(head, message, behind);
};

const u64 = (value: bigint): Uint8Array => {
  const bytes = new Uint8Array(8);
  writeU64(bytes, 0, value);
  return bytes;
};

/** 4102 around an update. */
export const privateUpdateOf = (update: Uint8Array): Uint8Array =>
  counted(OBSOLETE_TYPE.private_update, update);

/** 4104 around an announcement. */
export const privateChannelOf = (satoshis: bigint, announcement: Uint8Array): Uint8Array => {
  const head = new Uint8Array(12);
  writeU16(head, 0, OBSOLETE_TYPE.private_channel);
  writeU64(head, 2, satoshis);
  writeU16(head, 10, announcement.length);
  return concatBytes(head, announcement);
};

/** 3503 for channel `number`; with an empty feature field from version 8 on. */
export const localAddChannelOf = (number: number, version: number): Uint8Array => {
  const bytes = new Uint8Array(version >= 8 ? 53 : 51);
  writeU16(bytes, 0, OBSOLETE_TYPE.local_add_channel);
  writeU64(bytes, 2, goodScid(number));
  bytes[10] = 2;
  writeU64(bytes, 43, 500_000n);
  return bytes;
};

const typeOf = (message: Uint8Array): number => ((message[0] as number) << 8) | (message[1] as number);

class StoreBuilder {
  readonly records: GoodRecord[] = [];
  readonly #parts: Uint8Array[];
  readonly format: StoreFormat;
  #end = 1;

  constructor(format: StoreFormat) {
    this.format = format;
    this.#parts = [Uint8Array.of(format.version)];
  }

  add(message: Uint8Array, timestamp = 0, extraFlags = 0): void {
    const { format } = this;
    const flags = (format.hasCompleted ? FLAG_COMPLETED : 0) | (extraFlags & format.flags);
    const position = this.#end;
    this.#end += format.headerBytes + message.length;
    this.#parts.push(rec(format, message, { timestamp, flags }));
    this.records.push({
      position,
      length: message.length,
      type: typeOf(message),
      flags,
      timestamp: format.headerBytes === 12 ? timestamp : 0,
      bytes: message,
      end: this.#end,
    });
  }

  store(): GoodStore {
    return { bytes: concatBytes(...this.#parts), records: this.records, format: this.format };
  }
}

const addChannel = (builder: StoreBuilder, channel: number, flags: number): void => {
  const announcement = goodAnnouncement(channel);
  if (builder.format.wrapsMessages) {
    builder.add(counted(OBSOLETE_TYPE.wrapped_channel_announcement, announcement, u64(1_000_000n)));
    return;
  }
  builder.add(announcement, GOOD_TIMESTAMP + channel, flags);
  builder.add(encodeChannelAmount(1_000_000n + BigInt(channel)), 0, flags & FLAG_DELETED);
};

const addUpdates = (
  builder: StoreBuilder,
  channel: number,
  options: GoodStoreOptions,
  flags: number,
): void => {
  const { format } = builder;
  const timestamp = GOOD_TIMESTAMP + channel;
  if (format.wrapsMessages) {
    for (const direction of [0, 1] as const) {
      const update = goodUpdate(channel, direction, timestamp + 30 * direction);
      builder.add(counted(OBSOLETE_TYPE.wrapped_channel_update, update));
    }
    return;
  }
  if (options.withDeleted === true && (format.flags & FLAG_DELETED) !== 0)
    builder.add(goodUpdate(channel, 0, timestamp - 600), timestamp - 600, FLAG_DELETED);
  builder.add(goodUpdate(channel, 0, timestamp), timestamp, flags);
  const other = goodUpdate(channel, 1, timestamp + 30);
  const isShort = options.withShortUpdates === true && format.version <= 10;
  builder.add(isShort ? other.slice(0, 130) : other, timestamp + 30, flags);
};

const addPrivate = (builder: StoreBuilder, channel: number): void => {
  const { version, wrapsMessages } = builder.format;
  if (wrapsMessages || version > 12) return;
  if (version <= 8) builder.add(localAddChannelOf(channel, version));
  else builder.add(privateChannelOf(500_000n, goodAnnouncement(channel)));
  builder.add(privateUpdateOf(goodUpdate(channel, 0, GOOD_TIMESTAMP)));
};

/**
 * A sound store in the order that CLN writes: uuid (version 16), then channel by channel announcement, amount and updates, with
 * the node_announcements of each behind it.
 *
 * @param version 3 to 16, or a format (for the early version 5)
 */
export const goodStore = (
  version: number | StoreFormat,
  channels: number,
  options: GoodStoreOptions = {},
): GoodStore => {
  const format = typeof version === 'number' ? storeFormat(version) : version;
  if (format === undefined) throw new Error(`no format for version ${version}`);
  const builder = new StoreBuilder(format);
  if (format.hasUuid) builder.add(encodeUuid(options.uuid ?? new Uint8Array(32).fill(0x5a)));
  for (let channel = 0; channel < channels; channel++) {
    const isRemoved = options.withRemoved === true && channel === channels - 1 && format.version >= 8;
    const isDying = options.withDying === true && channel === 0 && format.version >= 12;
    const flags = isRemoved ? FLAG_DELETED : isDying ? FLAG_DYING : 0;
    addChannel(builder, channel, flags);
    addUpdates(builder, channel, options, flags);
    const scid = goodScid(channel);
    if (isDying) builder.add(encodeChanDying(scidHi(scid), scidLo(scid), 700_000));
    if (isRemoved) builder.add(encodeDeleteChan(scidHi(scid), scidLo(scid)));
    if (options.withoutNodes === true || isRemoved) continue;
    for (const node of [2 * channel, 2 * channel + 1]) {
      const message = goodNode(node, GOOD_TIMESTAMP + node);
      if (format.wrapsMessages) builder.add(counted(OBSOLETE_TYPE.wrapped_node_announcement, message));
      else builder.add(message, GOOD_TIMESTAMP + node);
    }
  }
  if (options.withPrivate === true) addPrivate(builder, channels + 1);
  return builder.store();
};

/** @param bit 0 to 7; 0 is the least significant */
export const flipBit = (bytes: Uint8Array, position: number, bit: number): Uint8Array =>
  overwrite(bytes, position, Uint8Array.of((bytes[position] as number) ^ (1 << bit)));

/** The first `size` bytes. */
export const cut = (bytes: Uint8Array, size: number): Uint8Array => bytes.slice(0, size);

export const append = (bytes: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array =>
  concatBytes(bytes, ...parts);

export const insert = (bytes: Uint8Array, position: number, ...parts: readonly Uint8Array[]): Uint8Array =>
  concatBytes(bytes.subarray(0, position), ...parts, bytes.subarray(position));

/** Closes the gap. */
export const removeBytes = (bytes: Uint8Array, position: number, length: number): Uint8Array =>
  concatBytes(bytes.subarray(0, position), bytes.subarray(position + length));

/** Writes over what is there; the size stays, but for what reaches beyond the end. */
export const overwrite = (bytes: Uint8Array, position: number, over: Uint8Array): Uint8Array => {
  const damaged = new Uint8Array(Math.max(bytes.length, position + over.length));
  damaged.set(bytes);
  damaged.set(over, position);
  return damaged;
};

/** Writes zeros over what is there. */
export const zeros = (bytes: Uint8Array, position: number, length: number): Uint8Array =>
  overwrite(bytes, position, new Uint8Array(length));

/** Writes `value` over what is there. */
export const filled = (bytes: Uint8Array, position: number, length: number, value: number): Uint8Array =>
  overwrite(bytes, position, new Uint8Array(length).fill(value));

/** Writes random bytes over what is there. */
export const noise = (bytes: Uint8Array, position: number, length: number, rng: Rng): Uint8Array =>
  overwrite(bytes, position, rng.bytes(length));

/** Gives the record at a header position another length in its header, and changes nothing else. */
export const withLength = (bytes: Uint8Array, position: number, length: number): Uint8Array =>
  overwrite(bytes, position + 2, Uint8Array.of(length >>> 8, length & 0xff));

/** Gives the record at a header position other flags. */
export const withFlags = (bytes: Uint8Array, position: number, flags: number): Uint8Array =>
  overwrite(bytes, position, Uint8Array.of(flags >>> 8, flags & 0xff));

export const withVersion = (bytes: Uint8Array, version: number): Uint8Array =>
  overwrite(bytes, 0, Uint8Array.of(version));

/** A file in memory that cannot be written. */
export const fileOf = (bytes: Uint8Array): StoreFile => ({
  read: (buffer, start, length, position) => {
    const got = Math.max(0, Math.min(length, bytes.length - position));
    buffer.set(bytes.subarray(position, position + got), start);
    return got;
  },
  write: () => {
    throw new OperationalError(
      'store_not_writable',
      'stop',
      'this file can only be read',
      'It is for tests.',
    );
  },
  size: () => bytes.length,
  dataSync: async () => {},
  close: () => {},
  identity: () => ({ dev: 1, ino: 1 }),
});
