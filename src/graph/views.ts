/**
 * The graph as objects for people and JSON: one channel, one direction of it, one node, each with all that is known.
 *
 * api/, tools/ and importers of `gossipd/graph` make them one at a time; hot paths read columns. Everything in a view is a
 * copy, safe to keep and to serialise. Names are the BOLTs' and, where those have none, close to CLN's. A node's alias,
 * colour and addresses are not in the graph: they are read from its node_announcement when a view is made (BOLT 7).
 */
import { fromHex, toHex } from '../base/bytes.ts';
import type { NodeId } from '../base/node_id.ts';
import { type ShortChannelId, scidHi, scidLo, scidText } from '../base/short_channel_id.ts';
import { isWireFault } from '../wire/fault.ts';
import {
  decodeNodeAnnouncement,
  nodeAnnouncementAlias,
  nodeAnnouncementColor,
} from '../wire/node_announcement.ts';
import type { StoreOffset } from '../wire/store_record.ts';
import type { NetworkGraph } from './network_graph.ts';
import { type NotRoutable, notRoutable } from './routability.ts';

/** What the node on one side asks for forwarding over the channel: its latest channel_update. */
export interface HalfChannel {
  /** 0: from node_id_1 to node_id_2. */
  readonly direction: 0 | 1;
  /** The node that sent the update and forwards. */
  readonly source: NodeId;
  readonly destination: NodeId;
  /** Unix seconds. */
  readonly timestamp: number;
  readonly message_flags: number;
  readonly channel_flags: number;
  readonly disabled: boolean;
  /** Why no payment may be sent over it, as far as gossip tells; null when one may (B7-04, B7-18, B7-37). */
  readonly not_routable: NotRoutable | null;
  /** Blocks. */
  readonly cltv_expiry_delta: number;
  /** Exact up to 2^53; likewise the maximum. */
  readonly htlc_minimum_msat: number;
  readonly htlc_maximum_msat: number;
  readonly fee_base_msat: number;
  readonly fee_proportional_millionths: number;
  /** CRC-32C that query_channel_range compares. */
  readonly checksum: number;
  readonly store_offset: number;
}

export interface ChannelInfo {
  /** `BLOCKxTXxOUT` (B7-41). */
  readonly short_channel_id: string;
  readonly node_id_1: NodeId;
  readonly node_id_2: NodeId;
  /** 0 while unverified. */
  readonly capacity_sat: number;
  /** No chain backend has seen the funding output. */
  readonly unverified: boolean;
  /** The funding output is spent. */
  readonly dying: boolean;
  /** Block height at which a dying channel leaves; null when unknown or not dying. */
  readonly dying_deadline: number | null;
  /** Unix seconds of the first update; 0 before it. */
  readonly timestamp: number;
  readonly store_offset: number;
  /** By direction; null where no update has come. */
  readonly half_channels: readonly [HalfChannel | null, HalfChannel | null];
}

export interface NodeAddress {
  readonly type: 'ipv4' | 'ipv6' | 'torv3' | 'dns';
  readonly address: string;
  readonly port: number;
}

/** What a node says of itself; nobody checks that it is true (B7-24). */
export interface NodeClaims {
  /** Unix seconds. */
  readonly timestamp: number;
  /** Safe to print. */
  readonly alias: string;
  /** `rrggbb` */
  readonly color: string;
  /** Hex, big-endian. */
  readonly features: string;
  readonly addresses: readonly NodeAddress[];
  readonly store_offset: number;
}

export interface NodeInfo {
  readonly node_id: NodeId;
  readonly channels: number;
  /** Sum over its channels; unverified ones count 0. */
  readonly capacity_sat: number;
  /** Null without a node_announcement, or when that can no longer be read. */
  readonly announcement: NodeClaims | null;
}

/** Hands out the message at an offset of the store, or undefined when it is gone. */
export type ReadMessage = (offset: StoreOffset) => Uint8Array | undefined;

/** -1 when unknown. */
export const channelOf = (graph: NetworkGraph, scid: ShortChannelId): number =>
  graph.channelIndex(scidHi(scid), scidLo(scid));

/** -1 when unknown. */
export const nodeOf = (graph: NetworkGraph, nodeId: NodeId): number => {
  const bytes = fromHex(nodeId);
  return bytes === undefined ? -1 : graph.nodeIndex(bytes, 0);
};

/** Null where no update has come. @param readMessage called for the announcements, whose features the graph does not keep */
export const halfChannel = (
  graph: NetworkGraph,
  channel: number,
  direction: 0 | 1,
  readMessage: ReadMessage,
): HalfChannel | null => {
  if (!graph.hasUpdate(channel, direction)) return null;
  return {
    direction,
    source: graph.nodeId(graph.channelNode(channel, direction)),
    destination: graph.nodeId(graph.channelNode(channel, direction === 0 ? 1 : 0)),
    timestamp: graph.updateTimestamp(channel, direction),
    message_flags: graph.messageFlags(channel, direction),
    channel_flags: graph.channelFlags(channel, direction),
    disabled: graph.isDisabled(channel, direction),
    not_routable: notRoutable(graph, channel, direction, readMessage),
    cltv_expiry_delta: graph.cltvExpiryDelta(channel, direction),
    htlc_minimum_msat: graph.htlcMinimumMsat(channel, direction),
    htlc_maximum_msat: graph.htlcMaximumMsat(channel, direction),
    fee_base_msat: graph.feeBaseMsat(channel, direction),
    fee_proportional_millionths: graph.feeProportionalMillionths(channel, direction),
    checksum: graph.updateChecksum(channel, direction),
    store_offset: graph.updateOffset(channel, direction),
  };
};

/** @param readMessage see `halfChannel` */
export const channelInfo = (graph: NetworkGraph, channel: number, readMessage: ReadMessage): ChannelInfo => {
  const deadline = graph.dyingDeadline(channel);
  return {
    short_channel_id: scidText(graph.scidHi(channel), graph.scidLo(channel)),
    node_id_1: graph.nodeId(graph.channelNode(channel, 0)),
    node_id_2: graph.nodeId(graph.channelNode(channel, 1)),
    capacity_sat: graph.channelSatoshis(channel),
    unverified: graph.channelSatoshis(channel) === 0,
    dying: graph.isDying(channel),
    dying_deadline: deadline === 0 ? null : deadline,
    timestamp: graph.channelTimestamp(channel),
    store_offset: graph.channelOffset(channel),
    half_channels: [halfChannel(graph, channel, 0, readMessage), halfChannel(graph, channel, 1, readMessage)],
  };
};

const nodeClaims = (graph: NetworkGraph, node: number, readMessage: ReadMessage): NodeClaims | null => {
  if (!graph.hasNodeAnnouncement(node)) return null;
  const offset = graph.nodeOffset(node);
  const raw = readMessage(offset);
  if (raw === undefined) return null;
  const message = decodeNodeAnnouncement(raw);
  if (isWireFault(message)) return null;
  return {
    timestamp: message.timestamp,
    alias: nodeAnnouncementAlias(raw, 0),
    color: nodeAnnouncementColor(raw, 0),
    features: toHex(message.features),
    addresses: message.addresses.map(({ kind, host, port }) => ({ type: kind, address: host, port })),
    store_offset: offset,
  };
};

/** @param readMessage called once for a node that has announced itself */
export const nodeInfo = (graph: NetworkGraph, node: number, readMessage: ReadMessage): NodeInfo => {
  let capacity = 0;
  graph.forEachChannelOfNode(node, (channel) => {
    capacity += graph.channelSatoshis(channel);
  });
  return {
    node_id: graph.nodeId(node),
    channels: graph.nodeChannelCount(node),
    capacity_sat: capacity,
    announcement: nodeClaims(graph, node, readMessage),
  };
};
