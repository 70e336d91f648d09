/**
 * Whether a payment may be sent over a channel in a direction, as far as gossip can tell (BOLT 7; B7-04, B7-18, B7-37).
 *
 * What may not be routed through is kept, shown and relayed like the rest: who asks for a view or builds a route asks here. Limits,
 * flags and spends are columns of the graph; features are not, and are read from the announcements when somebody asks, so
 * this is for views and importers, not for hot paths: three reads at most for a half channel.
 */

import { decodeChannelAnnouncement } from '../wire/channel_announcement.ts';
import { isWireFault } from '../wire/fault.ts';
import { hasUnknownEvenFeature } from '../wire/feature_bits.ts';
import { decodeNodeAnnouncement } from '../wire/node_announcement.ts';
import type { NetworkGraph } from './network_graph.ts';
import type { ReadMessage } from './views.ts';

/** In the order in which they are looked for. */
export const NOT_ROUTABLE_REASONS = [
  'no_update',
  'dying',
  'disabled',
  'htlc_maximum_below_minimum',
  /** Only where a chain backend has verified the capacity. */
  'htlc_maximum_above_capacity',
  'unknown_channel_feature',
  'unknown_node_feature',
] as const;

export type NotRoutable = (typeof NOT_ROUTABLE_REASONS)[number];

/** The first reason against routing over the half channel; null when there is none. An announcement that cannot be read is none. */
export const notRoutable = (
  graph: NetworkGraph,
  channel: number,
  direction: 0 | 1,
  readMessage: ReadMessage,
): NotRoutable | null => {
  if (!graph.hasUpdate(channel, direction)) return 'no_update';
  if (graph.isDying(channel)) return 'dying';
  if (graph.isDisabled(channel, direction)) return 'disabled';
  const maximum = graph.htlcMaximumMsat(channel, direction);
  if (maximum < graph.htlcMinimumMsat(channel, direction)) return 'htlc_maximum_below_minimum';
  const satoshis = graph.channelSatoshis(channel);
  if (satoshis > 0 && maximum > satoshis * 1000) return 'htlc_maximum_above_capacity';
  if (demandsUnknown(readMessage(graph.channelOffset(channel)), decodeChannelAnnouncement)) {
    return 'unknown_channel_feature';
  }
  const hasUnknown = ([0, 1] as const).some((side) => {
    const node = graph.channelNode(channel, side);
    return (
      graph.hasNodeAnnouncement(node) &&
      demandsUnknown(readMessage(graph.nodeOffset(node)), decodeNodeAnnouncement)
    );
  });
  return hasUnknown ? 'unknown_node_feature' : null;
};

const demandsUnknown = (
  raw: Uint8Array | undefined,
  decode: typeof decodeChannelAnnouncement | typeof decodeNodeAnnouncement,
): boolean => {
  if (raw === undefined) return false;
  const announcement = decode(raw);
  return !isWireFault(announcement) && hasUnknownEvenFeature(announcement);
};
