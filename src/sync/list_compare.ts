/**
 * What one entry of a peer's list shows that the graph lacks (BOLT 7, reply_channel_range with timestamps and checksums). Pure.
 *
 * WantedPool asks for every entry of every reply, so nothing is allocated here. The rule for updates: another content that is newer is
 * fetched; the same content with a newer time is a keep-alive, about half of all updates, and is fetched only when ours is half way
 * to being pruned. lnd sends no checksums (0.21): its newer times are believed to be other contents.
 */
import type { NetworkGraph } from '../graph/network_graph.ts';
import { QUERY_FLAG } from '../wire/query_short_channel_ids.ts';
import type { ReplyChannelRange } from '../wire/reply_channel_range.ts';

/** BOLT 7: an update older than two weeks may be pruned; asking for one is useless. */
const STALE_SECONDS = 1_209_600;
/** Half of it: from then on ours is refreshed even if only its time changed, lest it be pruned. */
const REFRESH_SECONDS = STALE_SECONDS / 2;
/** Updates from further ahead are not believed. */
const FUTURE_SECONDS = 86_400;

const NODES = QUERY_FLAG.node_announcement_1 | QUERY_FLAG.node_announcement_2;

const isBelieved = (timestamp: number, nowSeconds: number): boolean =>
  timestamp >= nowSeconds - STALE_SECONDS && timestamp <= nowSeconds + FUTURE_SECONDS;

/** Flags of the updates that the peer has newer than we; 0 when none. `at` is also the index of node 1's timestamp. */
export const outdatedFlags = (
  graph: NetworkGraph,
  channel: number,
  { timestamps, checksums }: ReplyChannelRange,
  at: number,
  nowSeconds: number,
): number => {
  if (timestamps === undefined) return 0;
  let flags = 0;
  for (const direction of [0, 1] as const) {
    const theirs = timestamps[at + direction] ?? 0;
    const ours = graph.hasUpdate(channel, direction) ? graph.updateTimestamp(channel, direction) : 0;
    if (theirs <= ours || !isBelieved(theirs, nowSeconds)) continue;
    const same =
      ours > 0 &&
      checksums !== undefined &&
      checksums[at + direction] === graph.updateChecksum(channel, direction);
    if (same && ours > nowSeconds - REFRESH_SECONDS) continue;
    flags |= QUERY_FLAG.channel_update_1 << direction;
  }
  return flags;
};

/** Whether the list shows an update of either side that is young enough to be taken; false without timestamps. */
export const isFresh = ({ timestamps }: ReplyChannelRange, at: number, nowSeconds: number): boolean =>
  timestamps !== undefined &&
  (isBelieved(timestamps[at] ?? 0, nowSeconds) || isBelieved(timestamps[at + 1] ?? 0, nowSeconds));

/** Flags of the channel's nodes that have not announced themselves and are not in `asked` yet, where they are put, by graph index. */
export const namelessFlags = (graph: NetworkGraph, channel: number, asked: Set<number>): number => {
  let flags = 0;
  for (const side of [0, 1] as const) {
    const node = graph.channelNode(channel, side);
    if (graph.hasNodeAnnouncement(node) || asked.has(node)) continue;
    asked.add(node);
    flags |= QUERY_FLAG.node_announcement_1 << side;
  }
  return flags;
};

/** True when `flags` ask for nodes only, and one of them at least is there. */
export const hasANode = (graph: NetworkGraph, scidHi: number, scidLo: number, flags: number): boolean => {
  if ((flags & ~NODES) !== 0) return false;
  const channel = graph.channelIndex(scidHi, scidLo);
  if (channel === -1) return false;
  return ([0, 1] as const).some(
    (side) =>
      (flags & (QUERY_FLAG.node_announcement_1 << side)) !== 0 &&
      graph.hasNodeAnnouncement(graph.channelNode(channel, side)),
  );
};
