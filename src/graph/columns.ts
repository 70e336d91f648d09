/**
 * The graph's columns: one typed array for each field, indexed by small integers that stay the same until an entry goes.
 *
 * NetworkGraph owns them; adjacency, scid_order and statistics read them. A channel's two sides (and its two half
 * channels, which are the same two) sit at `channel * 2 + side` in the columns that have one value for each side.
 * Doubles hold store offsets (files beyond 4 GiB) and amounts; both are exact up to 2^53.
 *
 * Bytes: a channel takes 29 (scid 8, offset 8, satoshis 8, timestamp 4, state 1) and each of its sides 56 (node and two
 * links 12; update offset 8, timestamp 4, fees 8, htlc limits 16, delay 2, two flag bytes 2, checksum 4): 141 in all.
 * A node takes 53 (node_id 33, offset 8, timestamp 4, first link 4, degree 4).
 * Capacity doubles while small and then grows by an eighth, so that unused room stays below 12.5 %.
 */
import { NODE_ID_BYTES } from '../base/node_id.ts';

/** Bytes of columns for one channel with both sides. */
export const CHANNEL_COLUMN_BYTES = 141;
/** Bytes of columns for one node. */
export const NODE_COLUMN_BYTES = 53;

/** Bits of the column `state`. */
export const STATE_LIVE = 1;
export const STATE_DYING = 2;
/** Shifted left by the direction. */
export const STATE_HAS_UPDATE = 4;
/** The channel is in the sorted scid index. */
export const STATE_IN_ORDER = 16;

/** Ends a list; also marks "no entry". */
export const NONE = -1;

/** Below this many entries capacity doubles: at most 8192 * 141 bytes = 1.1 MiB are idle then. */
const DOUBLING_LIMIT_ENTRIES = 8192;
const SMALLEST_CAPACITY_ENTRIES = 64;

export type Column = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array;

const grown = <A extends { readonly set: (from: A) => void }>(from: A, to: A): A => {
  to.set(from);
  return to;
};

/** The capacity that follows one that is full. */
export const nextCapacity = (capacity: number): number =>
  capacity < DOUBLING_LIMIT_ENTRIES
    ? Math.max(SMALLEST_CAPACITY_ENTRIES, capacity * 2)
    : capacity + (capacity >>> 3);

export class ChannelColumns {
  capacity: number;
  scidHi: Uint32Array;
  scidLo: Uint32Array;
  /** Store offset of the announcement. */
  offset: Float64Array;
  satoshis: Float64Array;
  /** Header timestamp of the announcement: its first update's, or 0. */
  timestamp: Uint32Array;
  state: Uint8Array;

  // One value for each side. While a channel's slot is free, node[channel * 2] is the next free slot.
  node: Int32Array;
  next: Int32Array;
  previous: Int32Array;
  updateOffset: Float64Array;
  updateTimestamp: Uint32Array;
  feeBaseMsat: Uint32Array;
  feeProportionalMillionths: Uint32Array;
  htlcMinimumMsat: Float64Array;
  htlcMaximumMsat: Float64Array;
  cltvExpiryDelta: Uint16Array;
  messageFlags: Uint8Array;
  channelFlags: Uint8Array;
  checksum: Uint32Array;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.scidHi = new Uint32Array(capacity);
    this.scidLo = new Uint32Array(capacity);
    this.offset = new Float64Array(capacity);
    this.satoshis = new Float64Array(capacity);
    this.timestamp = new Uint32Array(capacity);
    this.state = new Uint8Array(capacity);
    const sides = capacity * 2;
    this.node = new Int32Array(sides);
    this.next = new Int32Array(sides);
    this.previous = new Int32Array(sides);
    this.updateOffset = new Float64Array(sides);
    this.updateTimestamp = new Uint32Array(sides);
    this.feeBaseMsat = new Uint32Array(sides);
    this.feeProportionalMillionths = new Uint32Array(sides);
    this.htlcMinimumMsat = new Float64Array(sides);
    this.htlcMaximumMsat = new Float64Array(sides);
    this.cltvExpiryDelta = new Uint16Array(sides);
    this.messageFlags = new Uint8Array(sides);
    this.channelFlags = new Uint8Array(sides);
    this.checksum = new Uint32Array(sides);
  }

  grow(): void {
    const capacity = nextCapacity(this.capacity);
    this.capacity = capacity;
    this.scidHi = grown(this.scidHi, new Uint32Array(capacity));
    this.scidLo = grown(this.scidLo, new Uint32Array(capacity));
    this.offset = grown(this.offset, new Float64Array(capacity));
    this.satoshis = grown(this.satoshis, new Float64Array(capacity));
    this.timestamp = grown(this.timestamp, new Uint32Array(capacity));
    this.state = grown(this.state, new Uint8Array(capacity));
    const sides = capacity * 2;
    this.node = grown(this.node, new Int32Array(sides));
    this.next = grown(this.next, new Int32Array(sides));
    this.previous = grown(this.previous, new Int32Array(sides));
    this.updateOffset = grown(this.updateOffset, new Float64Array(sides));
    this.updateTimestamp = grown(this.updateTimestamp, new Uint32Array(sides));
    this.feeBaseMsat = grown(this.feeBaseMsat, new Uint32Array(sides));
    this.feeProportionalMillionths = grown(this.feeProportionalMillionths, new Uint32Array(sides));
    this.htlcMinimumMsat = grown(this.htlcMinimumMsat, new Float64Array(sides));
    this.htlcMaximumMsat = grown(this.htlcMaximumMsat, new Float64Array(sides));
    this.cltvExpiryDelta = grown(this.cltvExpiryDelta, new Uint16Array(sides));
    this.messageFlags = grown(this.messageFlags, new Uint8Array(sides));
    this.channelFlags = grown(this.channelFlags, new Uint8Array(sides));
    this.checksum = grown(this.checksum, new Uint32Array(sides));
  }

  /** The columns with one value for each channel, and those with one for each side, always in this order. */
  get wholes(): readonly Column[] {
    return [this.scidHi, this.scidLo, this.offset, this.satoshis, this.timestamp, this.state];
  }
  get sides(): readonly Column[] {
    const place = [this.node, this.next, this.previous, this.updateOffset, this.updateTimestamp];
    const fees = [this.feeBaseMsat, this.feeProportionalMillionths];
    const limits = [this.htlcMinimumMsat, this.htlcMaximumMsat, this.cltvExpiryDelta];
    return [...place, ...fees, ...limits, this.messageFlags, this.channelFlags, this.checksum];
  }

  /** Bytes allocated. */
  memoryBytes(): number {
    return [...this.wholes, ...this.sides].reduce((total, column) => total + column.byteLength, 0);
  }
}

export class NodeColumns {
  capacity: number;
  /** 33 bytes for each node. */
  ids: Uint8Array;
  /** Store offset of the node_announcement, or NONE. */
  offset: Float64Array;
  timestamp: Uint32Array;
  /** First side of the node's list of channels; while the slot is free, the next free slot. */
  first: Int32Array;
  /** Number of channels; 0 says that the slot is free. */
  degree: Uint32Array;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.ids = new Uint8Array(capacity * NODE_ID_BYTES);
    this.offset = new Float64Array(capacity);
    this.timestamp = new Uint32Array(capacity);
    this.first = new Int32Array(capacity);
    this.degree = new Uint32Array(capacity);
  }

  grow(): void {
    const capacity = nextCapacity(this.capacity);
    this.capacity = capacity;
    this.ids = grown(this.ids, new Uint8Array(capacity * NODE_ID_BYTES));
    this.offset = grown(this.offset, new Float64Array(capacity));
    this.timestamp = grown(this.timestamp, new Uint32Array(capacity));
    this.first = grown(this.first, new Int32Array(capacity));
    this.degree = grown(this.degree, new Uint32Array(capacity));
  }

  /** The columns with one value for each node, always in this order: all but the ids. */
  get wholes(): readonly Column[] {
    return [this.offset, this.timestamp, this.first, this.degree];
  }

  /** Bytes allocated. */
  memoryBytes(): number {
    return this.wholes.reduce((total, column) => total + column.byteLength, this.ids.byteLength);
  }
}
