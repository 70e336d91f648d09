/**
 * What a record of the store does to the graph. The same at load and live, so that a live graph equals a replayed one.
 *
 * NetworkGraph.apply hands in each record, in file order; every message is checked for its length first, and whatever does
 * not fit the graph is counted as an anomaly and left out, as CLN's readers leave it out. Nothing here throws, and
 * nothing makes objects except when columns or indexes grow or a channel starts dying.
 */
import { MAX_SAT } from '../base/amount.ts';
import { compareBytes } from '../base/bytes.ts';
import { NODE_ID_BYTES } from '../base/node_id.ts';
import {
  channelAnnouncementNodeId1At,
  channelAnnouncementNodeId2At,
  channelAnnouncementScidHi,
  channelAnnouncementScidLo,
  checkChannelAnnouncement,
} from '../wire/channel_announcement.ts';
import {
  channelUpdateChannelFlags,
  channelUpdateChecksum,
  channelUpdateCltvExpiryDelta,
  channelUpdateDirection,
  channelUpdateFeeBaseMsat,
  channelUpdateFeeProportionalMillionths,
  channelUpdateHtlcMaximumMsat,
  channelUpdateHtlcMinimumMsat,
  channelUpdateMessageFlags,
  channelUpdateScidHi,
  channelUpdateScidLo,
  channelUpdateTimestamp,
  checkChannelUpdate,
} from '../wire/channel_update.ts';
import {
  CHAN_DYING_BYTES,
  CHANNEL_AMOUNT_BYTES,
  chanDyingDeadline,
  chanDyingScidHi,
  chanDyingScidLo,
  channelAmountSatoshis,
  DELETE_CHAN_BYTES,
  deleteChanScidHi,
  deleteChanScidLo,
} from '../wire/gossip_store_messages.ts';
import { MESSAGE_TYPE } from '../wire/message_types.ts';
import {
  checkNodeAnnouncement,
  nodeAnnouncementNodeIdAt,
  nodeAnnouncementTimestamp,
} from '../wire/node_announcement.ts';
import {
  FLAG_DELETED,
  FLAG_DYING,
  GOSSIP_STORE_CHAN_DYING,
  GOSSIP_STORE_CHANNEL_AMOUNT,
  GOSSIP_STORE_DELETE_CHAN,
  RECORD_HEADER_BYTES,
  type StoreRecord,
} from '../wire/store_record.ts';
import { linkSide } from './adjacency.ts';
import { NONE, STATE_DYING, STATE_HAS_UPDATE, STATE_LIVE } from './columns.ts';
import { findChannel, findNode, type GraphState } from './graph_state.ts';
import { hashNodeId, hashScid } from './hash_index.ts';
import { freeNode, releaseChannel, unlinkChannel } from './removal.ts';

const MAX_SATOSHIS = Number(MAX_SAT);

/** Borrows the record. Types that say nothing about the graph are passed over. */
export const applyRecord = (state: GraphState, record: StoreRecord): void => {
  if ((record.flags & FLAG_DELETED) !== 0) return;
  switch (record.type) {
    case MESSAGE_TYPE.channel_update:
      applyUpdate(state, record);
      return;
    case MESSAGE_TYPE.channel_announcement:
      applyAnnouncement(state, record);
      return;
    case GOSSIP_STORE_CHANNEL_AMOUNT:
      applyAmount(state, record);
      return;
    case MESSAGE_TYPE.node_announcement:
      applyNode(state, record);
      return;
    case GOSSIP_STORE_DELETE_CHAN:
      applyRemoval(state, record);
      return;
    case GOSSIP_STORE_CHAN_DYING:
      applyDying(state, record);
  }
};

const applyAnnouncement = (state: GraphState, record: StoreRecord): void => {
  const { bytes, at, length } = record;
  state.unfunded = NONE;
  if (checkChannelAnnouncement(bytes, at, length) !== undefined) {
    state.anomalies.malformed++;
    return;
  }
  const hi = channelAnnouncementScidHi(bytes, at);
  const lo = channelAnnouncementScidLo(bytes, at);
  if (findChannel(state, hi, lo) !== NONE) {
    state.anomalies.duplicate_announcement++;
    return;
  }
  const id1At = channelAnnouncementNodeId1At(bytes, at);
  const id2At = channelAnnouncementNodeId2At(bytes, at);
  if (compareBytes(bytes, id1At, bytes, id2At, NODE_ID_BYTES) === 0) {
    state.anomalies.self_channel++;
    return;
  }
  const channel = takeChannelSlot(state);
  const { channels } = state;
  channels.scidHi[channel] = hi;
  channels.scidLo[channel] = lo;
  channels.offset[channel] = record.offset;
  channels.timestamp[channel] = record.timestamp;
  channels.state[channel] = STATE_LIVE;
  linkSide(channels, state.nodes, takeNode(state, bytes, id1At), channel * 2);
  linkSide(channels, state.nodes, takeNode(state, bytes, id2At), channel * 2 + 1);
  state.byScid.insert(hashScid(state.tables, hi, lo), channel);
  state.order.markStale();
  state.channelCount++;
  if ((record.flags & FLAG_DYING) !== 0) markDying(state, channel);
  state.unfunded = channel;
  state.amountOffset = record.offset + length + RECORD_HEADER_BYTES;
};

/** Belongs to the announcement right before it in the file, and to no other. */
const applyAmount = (state: GraphState, record: StoreRecord): void => {
  const channel = state.unfunded;
  state.unfunded = NONE;
  if (record.length < CHANNEL_AMOUNT_BYTES) {
    state.anomalies.malformed++;
    return;
  }
  if (channel === NONE || record.offset !== state.amountOffset) {
    state.anomalies.amount_without_announcement++;
    return;
  }
  const satoshis = channelAmountSatoshis(record.bytes, record.at);
  if (satoshis > MAX_SATOSHIS) {
    state.anomalies.impossible_amount++;
    return;
  }
  state.channels.satoshis[channel] = satoshis;
  state.capacitySat += satoshis;
};

/** Of two updates with one timestamp the later in the file wins, as it does for CLN's readers. */
const applyUpdate = (state: GraphState, record: StoreRecord): void => {
  const { bytes, at, length } = record;
  if (checkChannelUpdate(bytes, at, length) !== undefined) {
    state.anomalies.malformed++;
    return;
  }
  const channel = findChannel(state, channelUpdateScidHi(bytes, at), channelUpdateScidLo(bytes, at));
  if (channel === NONE) {
    state.anomalies.unknown_channel++;
    return;
  }
  const { channels } = state;
  const direction = channelUpdateDirection(bytes, at);
  const half = channel * 2 + direction;
  const timestamp = channelUpdateTimestamp(bytes, at);
  const hasUpdate = STATE_HAS_UPDATE << direction;
  const bits = channels.state[channel] as number;
  if ((bits & hasUpdate) === 0) {
    channels.state[channel] = bits | hasUpdate;
    state.halfChannelCount++;
    // The store gives a fresh announcement the timestamp of its channel's first update.
    if (channels.timestamp[channel] === 0) channels.timestamp[channel] = timestamp;
  } else if (timestamp < (channels.updateTimestamp[half] as number)) {
    state.anomalies.older_update++;
    return;
  }
  channels.updateOffset[half] = record.offset;
  channels.updateTimestamp[half] = timestamp;
  channels.feeBaseMsat[half] = channelUpdateFeeBaseMsat(bytes, at);
  channels.feeProportionalMillionths[half] = channelUpdateFeeProportionalMillionths(bytes, at);
  channels.htlcMinimumMsat[half] = channelUpdateHtlcMinimumMsat(bytes, at);
  channels.htlcMaximumMsat[half] = channelUpdateHtlcMaximumMsat(bytes, at);
  channels.cltvExpiryDelta[half] = channelUpdateCltvExpiryDelta(bytes, at);
  channels.messageFlags[half] = channelUpdateMessageFlags(bytes, at);
  channels.channelFlags[half] = channelUpdateChannelFlags(bytes, at);
  channels.checksum[half] = channelUpdateChecksum(bytes, at, length);
};

const applyNode = (state: GraphState, record: StoreRecord): void => {
  const { bytes, at, length } = record;
  if (checkNodeAnnouncement(bytes, at, length) !== undefined) {
    state.anomalies.malformed++;
    return;
  }
  const node = findNode(state, bytes, nodeAnnouncementNodeIdAt(bytes, at));
  if (node === NONE) {
    state.anomalies.unknown_node++;
    return;
  }
  const { nodes } = state;
  const timestamp = nodeAnnouncementTimestamp(bytes, at);
  if (nodes.offset[node] === NONE) {
    state.nodeAnnouncementCount++;
  } else if (timestamp < (nodes.timestamp[node] as number)) {
    state.anomalies.older_node_announcement++;
    return;
  }
  nodes.offset[node] = record.offset;
  nodes.timestamp[node] = timestamp;
};

/** Nodes that lose their last channel go, and what they announced goes with them (B7-44). */
const applyRemoval = (state: GraphState, record: StoreRecord): void => {
  if (record.length < DELETE_CHAN_BYTES) {
    state.anomalies.malformed++;
    return;
  }
  const hi = deleteChanScidHi(record.bytes, record.at);
  const lo = deleteChanScidLo(record.bytes, record.at);
  const channel = findChannel(state, hi, lo);
  if (channel === NONE) {
    state.anomalies.unknown_channel++;
    return;
  }
  unlinkChannel(state, channel);
  for (let side = channel * 2; side <= channel * 2 + 1; side++) {
    const node = state.channels.node[side] as number;
    if (state.nodes.degree[node] === 0) freeNode(state, node);
  }
  releaseChannel(state, channel);
};

const applyDying = (state: GraphState, record: StoreRecord): void => {
  const { bytes, at } = record;
  if (record.length < CHAN_DYING_BYTES) {
    state.anomalies.malformed++;
    return;
  }
  const channel = findChannel(state, chanDyingScidHi(bytes, at), chanDyingScidLo(bytes, at));
  if (channel === NONE) {
    state.anomalies.unknown_channel++;
    return;
  }
  markDying(state, channel);
  state.deadlines.set(channel, chanDyingDeadline(bytes, at));
  state.dyingOffsets.set(channel, record.offset);
};

const markDying = (state: GraphState, channel: number): void => {
  const bits = state.channels.state[channel] as number;
  if ((bits & STATE_DYING) !== 0) return;
  state.channels.state[channel] = bits | STATE_DYING;
  state.dyingCount++;
};

/** Free slots hold zeros: removal clears them, which spares clearing at load. */
const takeChannelSlot = (state: GraphState): number => {
  const channel = state.freeChannel;
  if (channel !== NONE) {
    state.freeChannel = state.channels.node[channel * 2] as number;
    return channel;
  }
  if (state.channelEnd === state.channels.capacity) state.channels.grow();
  return state.channelEnd++;
};

/** The node with the id at `at`, made when new; a new one has no channel yet, and the caller links one at once. */
const takeNode = (state: GraphState, bytes: Uint8Array, at: number): number => {
  const known = findNode(state, bytes, at);
  if (known !== NONE) return known;
  const { nodes } = state;
  let node = state.freeNode;
  if (node !== NONE) {
    state.freeNode = nodes.first[node] as number;
  } else {
    if (state.nodeEnd === nodes.capacity) nodes.grow();
    node = state.nodeEnd++;
  }
  const idAt = node * NODE_ID_BYTES;
  for (let index = 0; index < NODE_ID_BYTES; index++) nodes.ids[idAt + index] = bytes[at + index] as number;
  nodes.offset[node] = NONE;
  nodes.timestamp[node] = 0;
  nodes.first[node] = NONE;
  nodes.degree[node] = 0;
  state.byNodeId.insert(hashNodeId(state.tables, bytes, at), node);
  state.nodeCount++;
  return node;
};
