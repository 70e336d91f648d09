/**
 * NetworkGraph: the public map of channels, their two policies and their nodes, in memory.
 *
 * The store hands it every record, at load and as it arrives, through the same `apply`; so a live graph equals one that is
 * replayed from the file. ingest, sync, rgs and api read it by small integers: a channel or node keeps its index until it
 * goes, and then the slot is reused. Records come in file order; nothing in a record can make `apply` throw, and `apply`
 * makes no objects, only room to grow.
 *
 * Memory for each channel with both sides, the unused eighth of grown columns included: 141 * 1.125 = 158.6 bytes of columns
 * (columns.ts), at most 12.8 of scid index, 4 of sorted index: under 180. A node takes at most 53 * 1.125 + 12.8 = 72.4;
 * a dying channel about 80 more. Below 8192 entries capacity doubles instead: at most 8192 * (141 + 53) bytes = 1.6 MB idle.
 */
import { NODE_ID_BYTES, type NodeId, nodeIdAt } from '../base/node_id.ts';
import { scidBlock } from '../base/short_channel_id.ts';
import type { UnixSeconds } from '../base/time.ts';
import { CHANNEL_FLAG_DISABLE } from '../wire/channel_update.ts';
import { type StoreOffset, type StoreRecord, storeOffset } from '../wire/store_record.ts';
import { applyRecord } from './apply_record.ts';
import {
  type ChannelColumns,
  NONE,
  type NodeColumns,
  STATE_DYING,
  STATE_HAS_UPDATE,
  STATE_LIVE,
} from './columns.ts';
import {
  emptyState,
  findChannel,
  findNode,
  type GraphAnomaly,
  type GraphState,
  type NetworkGraphOptions,
} from './graph_state.ts';
import type { ProbeStatistics } from './hash_index.ts';
import { type GraphLoss, relocateGraph, type Translate } from './relocate.ts';
import { firstAtBlock } from './scid_order.ts';
import { restoreSnapshot, type SnapshotOutput, type SnapshotSource, writeSnapshot } from './snapshot.ts';
import { type GraphStatistics, graphStatistics } from './statistics.ts';

/** A dying channel's deadline and offset, each in a Map: key, value and hash slot with its spare room. */
const DEADLINE_BYTES = 80;

export class NetworkGraph {
  readonly #state: GraphState;
  readonly #channels: ChannelColumns;
  readonly #nodes: NodeColumns;

  constructor(options: NetworkGraphOptions = {}) {
    this.#state = emptyState(options);
    this.#channels = this.#state.channels;
    this.#nodes = this.#state.nodes;
  }

  /**
   * Takes one record into account: channel_announcement and its amount, node_announcement, channel_update, delete_chan and
   * chan_dying. Other types and records flagged DELETED are passed over. What contradicts the graph is counted in
   * `anomalies` and left out. Borrows the record.
   */
  apply(record: StoreRecord): void {
    applyRecord(this.#state, record);
  }

  /**
   * The store has a new file: every offset becomes what `translate` says, 0 meaning that the record was lost. Afterwards the
   * graph is what a replay of the new file gives, and the answer tells what is missing. Indexes of what stays do not change.
   */
  relocate(translate: Translate): GraphLoss {
    return relocateGraph(this.#state, translate);
  }

  /** Writes all of the graph, so that restore() makes another one equal to it. Throws what writing throws. */
  save(tie: string, output: SnapshotOutput): void {
    writeSnapshot(this.#state, tie, output);
  }

  /** The graph becomes the one that was saved under this tie. False, and nothing changed, unless the file is sound and has it. */
  restore(tie: string, source: SnapshotSource): boolean {
    return restoreSnapshot(this.#state, tie, source);
  }

  get channelCount(): number {
    return this.#state.channelCount;
  }
  /** Nodes with at least one channel. */
  get nodeCount(): number {
    return this.#state.nodeCount;
  }
  /** Directions that have a channel_update. */
  get halfChannelCount(): number {
    return this.#state.halfChannelCount;
  }
  get nodeAnnouncementCount(): number {
    return this.#state.nodeAnnouncementCount;
  }
  get dyingCount(): number {
    return this.#state.dyingCount;
  }
  /** Sum over all channels; unverified ones count 0. */
  get capacitySat(): number {
    return this.#state.capacitySat;
  }
  /** How many records were left out, by reason, since the graph was made. */
  get anomalies(): Readonly<Record<GraphAnomaly, number>> {
    return this.#state.anomalies;
  }

  /** -1 when unknown. @param scidHi @param scidLo unsigned halves */
  channelIndex(scidHi: number, scidLo: number): number {
    return findChannel(this.#state, scidHi, scidLo);
  }

  /** -1 when unknown. Looks up the 33 bytes at `at`. */
  nodeIndex(bytes: Uint8Array, at: number): number {
    return findNode(this.#state, bytes, at);
  }

  /** Upper half of the short_channel_id. */
  scidHi(channel: number): number {
    return this.#channels.scidHi[channel] as number;
  }
  scidLo(channel: number): number {
    return this.#channels.scidLo[channel] as number;
  }
  /** Where the channel_announcement is. */
  channelOffset(channel: number): StoreOffset {
    return storeOffset(this.#channels.offset[channel] as number);
  }
  /** Funding amount; 0 while nobody has verified the output. */
  channelSatoshis(channel: number): number {
    return this.#channels.satoshis[channel] as number;
  }
  /** Node of node_id_1 (side 0) or node_id_2 (side 1). */
  channelNode(channel: number, side: 0 | 1): number {
    return this.#channels.node[channel * 2 + side] as number;
  }
  /** The funding output is spent; the channel leaves at its deadline. */
  isDying(channel: number): boolean {
    return ((this.#channels.state[channel] as number) & STATE_DYING) !== 0;
  }
  /** Block height of the removal; 0 when not dying or not told. */
  dyingDeadline(channel: number): number {
    return this.#state.deadlines.get(channel) ?? 0;
  }
  /** Where a dying channel's chan_dying is; 0, where no record can be, when there is none. */
  dyingOffset(channel: number): StoreOffset {
    return storeOffset(this.#state.dyingOffsets.get(channel) ?? 0);
  }
  /** The announcement's header timestamp: that of the channel's first update ever, 0 before it. */
  channelTimestamp(channel: number): UnixSeconds {
    return this.#channels.timestamp[channel] as UnixSeconds;
  }

  /** Whether the node on this side has sent a channel_update; the columns below hold 0 otherwise. */
  hasUpdate(channel: number, direction: 0 | 1): boolean {
    return ((this.#channels.state[channel] as number) & (STATE_HAS_UPDATE << direction)) !== 0;
  }
  updateTimestamp(channel: number, direction: 0 | 1): UnixSeconds {
    return this.#channels.updateTimestamp[channel * 2 + direction] as UnixSeconds;
  }
  updateOffset(channel: number, direction: 0 | 1): StoreOffset {
    return storeOffset(this.#channels.updateOffset[channel * 2 + direction] as number);
  }
  feeBaseMsat(channel: number, direction: 0 | 1): number {
    return this.#channels.feeBaseMsat[channel * 2 + direction] as number;
  }
  feeProportionalMillionths(channel: number, direction: 0 | 1): number {
    return this.#channels.feeProportionalMillionths[channel * 2 + direction] as number;
  }
  cltvExpiryDelta(channel: number, direction: 0 | 1): number {
    return this.#channels.cltvExpiryDelta[channel * 2 + direction] as number;
  }
  /** Exact up to 2^53. */
  htlcMinimumMsat(channel: number, direction: 0 | 1): number {
    return this.#channels.htlcMinimumMsat[channel * 2 + direction] as number;
  }
  /** Exact up to 2^53. */
  htlcMaximumMsat(channel: number, direction: 0 | 1): number {
    return this.#channels.htlcMaximumMsat[channel * 2 + direction] as number;
  }
  /** The byte as received. */
  messageFlags(channel: number, direction: 0 | 1): number {
    return this.#channels.messageFlags[channel * 2 + direction] as number;
  }
  /** The byte as received. */
  channelFlags(channel: number, direction: 0 | 1): number {
    return this.#channels.channelFlags[channel * 2 + direction] as number;
  }
  isDisabled(channel: number, direction: 0 | 1): boolean {
    return (this.channelFlags(channel, direction) & CHANNEL_FLAG_DISABLE) !== 0;
  }
  /** CRC-32C of the update without signature and timestamp; 0 if there is none. */
  updateChecksum(channel: number, direction: 0 | 1): number {
    return this.#channels.checksum[channel * 2 + direction] as number;
  }

  /** The 33 bytes: a view, valid until the next `apply`. */
  nodeIdBytes(node: number): Uint8Array {
    return this.#nodes.ids.subarray(node * NODE_ID_BYTES, (node + 1) * NODE_ID_BYTES);
  }
  /** All node ids; that of `node` starts at `nodeIdPosition(node)`. Borrowed until the next `apply`; never write to it. */
  get nodeIdColumn(): Uint8Array {
    return this.#nodes.ids;
  }
  nodeIdPosition(node: number): number {
    return node * NODE_ID_BYTES;
  }
  /** Lowercase hex. Allocates. */
  nodeId(node: number): NodeId {
    return nodeIdAt(this.#nodes.ids, node * NODE_ID_BYTES);
  }
  hasNodeAnnouncement(node: number): boolean {
    return this.#nodes.offset[node] !== NONE;
  }
  /** Of the node_announcement; 0 without one. */
  nodeTimestamp(node: number): UnixSeconds {
    return this.#nodes.timestamp[node] as UnixSeconds;
  }
  /** Of the node_announcement; 0, where no record can be, without one. */
  nodeOffset(node: number): StoreOffset {
    return storeOffset(Math.max(0, this.#nodes.offset[node] as number));
  }
  nodeChannelCount(node: number): number {
    return this.#nodes.degree[node] as number;
  }

  /** Whether a channel of the node that is not dying was announced below `offset`. Constant time but for dying channels. */
  nodesHaveChannelBefore(node: number, offset: StoreOffset): boolean {
    const earliest = this.earliestChannelOffset(node);
    return earliest !== undefined && earliest < offset;
  }
  /** The lowest announcement offset among the node's channels that are not dying; undefined without such a channel. */
  earliestChannelOffset(node: number): StoreOffset | undefined {
    const { next, offset } = this.#channels;
    let side = this.#nodes.first[node] as number;
    // The list is in file order, so the first that is not dying is the earliest.
    for (let left = this.nodeChannelCount(node); left > 0; left--) {
      if (!this.isDying(side >>> 1)) return storeOffset(offset[side >>> 1] as number);
      side = next[side] as number;
    }
    return undefined;
  }

  /** In no particular order. The visitor may apply removals. */
  forEachChannel(visit: (channel: number) => void): void {
    for (let channel = 0; channel < this.#state.channelEnd; channel++) {
      if (((this.#channels.state[channel] as number) & STATE_LIVE) !== 0) visit(channel);
    }
  }
  /** In file order of the announcements; `side` is the node's own. The visitor must not apply anything. */
  forEachChannelOfNode(node: number, visit: (channel: number, side: 0 | 1) => void): void {
    let side = this.#nodes.first[node] as number;
    for (let left = this.nodeChannelCount(node); left > 0; left--) {
      visit(side >>> 1, (side & 1) === 0 ? 0 : 1);
      side = this.#channels.next[side] as number;
    }
  }
  /** In no particular order. The visitor may apply removals. */
  forEachNode(visit: (node: number) => void): void {
    for (let node = 0; node < this.#state.nodeEnd; node++) {
      if (this.#nodes.degree[node] !== 0) visit(node);
    }
  }
  /**
   * Channels whose block is in [firstBlock, firstBlock + blockCount), dying ones included, ascending by scid. The visitor
   * must not apply anything. Linear in the number of channels when some came or went since the last call.
   */
  channelsInBlocks(firstBlock: number, blockCount: number, visit: (channel: number) => void): void {
    const columns = this.#channels;
    const sorted = this.#state.order.sorted(columns, this.#state.channelEnd, this.#state.channelCount);
    const end = firstBlock + blockCount;
    for (let at = firstAtBlock(columns, sorted, firstBlock); at < sorted.length; at++) {
      const channel = sorted[at] as number;
      if (scidBlock(columns.scidHi[channel] as number) >= end) return;
      visit(channel);
    }
  }

  /** Bytes allocated for columns and indexes, room to grow included. */
  memoryBytes(): number {
    const columns = this.#channels.memoryBytes() + this.#nodes.memoryBytes();
    const indexes =
      this.#state.byScid.memoryBytes() +
      this.#state.byNodeId.memoryBytes() +
      this.#state.order.memoryBytes() +
      this.#state.tables.byteLength;
    return columns + indexes + this.#state.deadlines.size * DEADLINE_BYTES;
  }

  /** Timestamp of the newest update; 0 without updates. Linear in channels, some 0.2 ms for the public network. */
  newestUpdate(): UnixSeconds {
    const timestamps = this.#channels.updateTimestamp;
    let newest = 0;
    for (let half = 0; half < this.#state.channelEnd * 2; half++)
      newest = Math.max(newest, timestamps[half] as number);
    return newest as UnixSeconds;
  }

  /** @param now for the ages of updates; left out, they are counted from the newest update. Linear in channels. */
  statistics(now?: UnixSeconds): GraphStatistics {
    return graphStatistics(this, now);
  }

  /** How well the hash indexes are spread. Linear; for tests and diagnosis. */
  probeStatistics(): { readonly channels: ProbeStatistics; readonly nodes: ProbeStatistics } {
    return { channels: this.#state.byScid.probeStatistics(), nodes: this.#state.byNodeId.probeStatistics() };
  }
}
