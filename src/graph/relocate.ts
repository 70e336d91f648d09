/**
 * The store has written itself anew without what was damaged, and every record that stays has another offset: the graph follows.
 *
 * NetworkGraph.relocate hands in a translation; afterwards the graph is what a replay of the new file gives: a channel whose
 * announcement is gone leaves with its updates; a lost update, node_announcement or chan_dying is forgotten; so is a
 * node_announcement that no longer stands behind a channel of its node, because a replay would pass over it.
 * What is missing comes back as QUERY_FLAG bits by short_channel_id, to be asked for again; a dying channel is not, as its
 * output is spent. One pass over each column, in slot order, which is nearly file order; nothing is allocated for what stays.
 */
import { QUERY_FLAG } from '../wire/query_short_channel_ids.ts';
import { type StoreOffset, storeOffset } from '../wire/store_record.ts';
import { NONE, STATE_DYING, STATE_HAS_UPDATE, STATE_LIVE } from './columns.ts';
import type { GraphState } from './graph_state.ts';
import { clearHalf, freeNode, releaseChannel, unlinkChannel } from './removal.ts';

/** Where a record of the old file is in the new one; 0 when it is not there. */
export type Translate = (offset: StoreOffset) => StoreOffset;

/** What is missing of one channel and its two nodes. */
export interface LostRecords {
  readonly scidHi: number;
  readonly scidLo: number;
  /** QUERY_FLAG bits. */
  readonly flags: number;
}

export interface GraphLoss {
  /** Each channel once. */
  readonly channels: readonly LostRecords[];
  /** Offsets in the new file of records that mean nothing any more. */
  readonly orphans: readonly StoreOffset[];
}

/** What is gathered on the way. */
interface Losses {
  readonly translate: Translate;
  /** QUERY_FLAG bits by channel. */
  readonly flags: Map<number, number>;
  readonly orphans: StoreOffset[];
  /** Channels whose announcement is gone. */
  readonly channels: number[];
}

export const relocateGraph = (state: GraphState, translate: Translate): GraphLoss => {
  const losses: Losses = { translate, flags: new Map(), orphans: [], channels: [] };
  // An announcement without its amount behind it stands at neither end of this.
  state.unfunded = NONE;
  moveAnnouncements(state, losses);
  moveUpdates(state, losses);
  moveDeadlines(state, losses);
  for (const channel of losses.channels) unlinkChannel(state, channel);
  freeEmptiedNodes(state, losses);
  moveNodes(state, losses);
  const { scidHi, scidLo } = state.channels;
  const channels = Array.from(losses.flags, ([channel, flags]) => ({
    scidHi: scidHi[channel] as number,
    scidLo: scidLo[channel] as number,
    flags,
  }));
  for (const channel of losses.channels) releaseChannel(state, channel);
  return { channels, orphans: losses.orphans };
};

/** Nothing is asked for by a channel whose output is spent. */
const miss = (state: GraphState, losses: Losses, channel: number, flag: number): void => {
  if (((state.channels.state[channel] as number) & STATE_DYING) !== 0) return;
  losses.flags.set(channel, (losses.flags.get(channel) ?? 0) | flag);
};

/** A lost one's offset is 0 from here on. */
const moveAnnouncements = (state: GraphState, losses: Losses): void => {
  const { state: bits, offset } = state.channels;
  for (let channel = 0; channel < state.channelEnd; channel++) {
    if (((bits[channel] as number) & STATE_LIVE) === 0) continue;
    const moved = losses.translate(storeOffset(offset[channel] as number));
    offset[channel] = moved;
    if (moved !== 0) continue;
    losses.channels.push(channel);
    miss(state, losses, channel, QUERY_FLAG.channel_announcement);
  }
};

const moveUpdates = (state: GraphState, losses: Losses): void => {
  const { state: bits, offset, updateOffset } = state.channels;
  for (let half = 0; half < state.channelEnd * 2; half++) {
    const channel = half >>> 1;
    const direction = half & 1;
    const hasUpdate = STATE_HAS_UPDATE << direction;
    if (((bits[channel] as number) & hasUpdate) === 0) continue;
    const moved = losses.translate(storeOffset(updateOffset[half] as number));
    const isLost = offset[channel] === 0;
    if (moved !== 0 && !isLost) {
      updateOffset[half] = moved;
      continue;
    }
    miss(state, losses, channel, QUERY_FLAG.channel_update_1 << direction);
    if (moved !== 0) losses.orphans.push(moved);
    if (isLost) continue;
    clearHalf(state.channels, half);
    bits[channel] = (bits[channel] as number) & ~hasUpdate;
    state.halfChannelCount--;
  }
};

/** A channel whose chan_dying is lost is dying all the same, as its other records say so. */
const moveDeadlines = (state: GraphState, losses: Losses): void => {
  const { offset } = state.channels;
  for (const [channel, at] of state.dyingOffsets) {
    const moved = losses.translate(storeOffset(at));
    if (offset[channel] === 0) {
      if (moved !== 0) losses.orphans.push(moved);
    } else if (moved !== 0) {
      state.dyingOffsets.set(channel, moved);
    } else {
      state.dyingOffsets.delete(channel);
      state.deadlines.delete(channel);
    }
  }
};

/** Nodes whose channels are all lost leave, and are asked for by one of these. */
const freeEmptiedNodes = (state: GraphState, losses: Losses): void => {
  const { channels, nodes } = state;
  /** By node: the side by which it is asked for. */
  const emptied = new Map<number, number>();
  for (const channel of losses.channels) {
    const isDying = ((channels.state[channel] as number) & STATE_DYING) !== 0;
    for (let side = channel * 2; side <= channel * 2 + 1; side++) {
      const node = channels.node[side] as number;
      if (nodes.degree[node] === 0 && !(isDying && emptied.has(node))) emptied.set(node, side);
    }
  }
  for (const [node, side] of emptied) {
    if (nodes.offset[node] !== NONE) {
      const moved = losses.translate(storeOffset(nodes.offset[node] as number));
      if (moved !== 0) losses.orphans.push(moved);
      miss(state, losses, side >>> 1, QUERY_FLAG.node_announcement_1 << (side & 1));
    }
    freeNode(state, node);
  }
};

/** Nodes that still have a channel. Their lists are in file order: the first side's announcement is the earliest. */
const moveNodes = (state: GraphState, losses: Losses): void => {
  const { channels, nodes } = state;
  for (let node = 0; node < state.nodeEnd; node++) {
    if (nodes.degree[node] === 0 || nodes.offset[node] === NONE) continue;
    const moved = losses.translate(storeOffset(nodes.offset[node] as number));
    if (moved > (channels.offset[(nodes.first[node] as number) >>> 1] as number)) {
      nodes.offset[node] = moved;
      continue;
    }
    if (moved !== 0) losses.orphans.push(moved);
    nodes.offset[node] = NONE;
    nodes.timestamp[node] = 0;
    state.nodeAnnouncementCount--;
    const side = sideToAskBy(state, node);
    if (side !== NONE) {
      miss(state, losses, side >>> 1, QUERY_FLAG.node_announcement_1 << (side & 1));
    }
  }
};

/** The node's first side whose channel is not dying; NONE when all are. */
const sideToAskBy = (state: GraphState, node: number): number => {
  const { channels, nodes } = state;
  let side = nodes.first[node] as number;
  for (let left = nodes.degree[node] as number; left > 0; left--) {
    if (((channels.state[side >>> 1] as number) & STATE_DYING) === 0) return side;
    side = channels.next[side] as number;
  }
  return NONE;
};
