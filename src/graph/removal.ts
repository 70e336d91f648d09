/**
 * How channels and nodes leave the graph. apply_record uses it for delete_chan, relocate for what was lost with a damaged part of
 * the store. The order is the caller's: unlink a channel, free the nodes that it leaves without one, release its slot.
 */
import { NODE_ID_BYTES } from '../base/node_id.ts';
import { unlinkSide } from './adjacency.ts';
import { type ChannelColumns, NONE, STATE_DYING, STATE_HAS_UPDATE } from './columns.ts';
import type { GraphState } from './graph_state.ts';
import { hashNodeId, hashScid } from './hash_index.ts';

/** Takes the channel out of the scid index and out of its nodes' lists. Nodes stay, also those without a channel now. */
export const unlinkChannel = (state: GraphState, channel: number): void => {
  const { channels, nodes } = state;
  const hi = channels.scidHi[channel] as number;
  const lo = channels.scidLo[channel] as number;
  state.byScid.remove(hashScid(state.tables, hi, lo), channel);
  unlinkSide(channels, nodes, channel * 2);
  unlinkSide(channels, nodes, channel * 2 + 1);
};

/** A node without channels leaves, and what it announced goes with it (B7-44). */
export const freeNode = (state: GraphState, node: number): void => {
  const { nodes } = state;
  state.byNodeId.remove(hashNodeId(state.tables, nodes.ids, node * NODE_ID_BYTES), node);
  if (nodes.offset[node] !== NONE) state.nodeAnnouncementCount--;
  nodes.first[node] = state.freeNode;
  state.freeNode = node;
  state.nodeCount--;
};

/** Settles the counts of an unlinked channel and gives its slot back. */
export const releaseChannel = (state: GraphState, channel: number): void => {
  const { channels } = state;
  const bits = channels.state[channel] as number;
  state.channelCount--;
  if ((bits & STATE_HAS_UPDATE) !== 0) state.halfChannelCount--;
  if ((bits & (STATE_HAS_UPDATE << 1)) !== 0) state.halfChannelCount--;
  if ((bits & STATE_DYING) !== 0) {
    state.dyingCount--;
    state.deadlines.delete(channel);
    state.dyingOffsets.delete(channel);
  }
  state.capacitySat -= channels.satoshis[channel] as number;
  channels.state[channel] = 0;
  channels.satoshis[channel] = 0;
  clearHalf(channels, channel * 2);
  clearHalf(channels, channel * 2 + 1);
  channels.node[channel * 2] = state.freeChannel;
  state.freeChannel = channel;
  state.order.markStale();
  if (state.unfunded === channel) state.unfunded = NONE;
};

/** As if no update had come for this side. The caller settles `state` and the count. */
export const clearHalf = (channels: ChannelColumns, half: number): void => {
  channels.updateOffset[half] = 0;
  channels.updateTimestamp[half] = 0;
  channels.feeBaseMsat[half] = 0;
  channels.feeProportionalMillionths[half] = 0;
  channels.htlcMinimumMsat[half] = 0;
  channels.htlcMaximumMsat[half] = 0;
  channels.cltvExpiryDelta[half] = 0;
  channels.messageFlags[half] = 0;
  channels.channelFlags[half] = 0;
  channels.checksum[half] = 0;
};
