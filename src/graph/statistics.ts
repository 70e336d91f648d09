/**
 * Figures about the whole graph for status answers, metrics and the dashboard. Computed from the columns when asked for, in
 * time linear in channels and nodes; keeps nothing.
 */
import type { UnixSeconds } from '../base/time.ts';
import type { NetworkGraph } from './network_graph.ts';

const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * HOUR_SECONDS;

/** How many half channels were last updated how long ago; each update is in one of them. */
export interface UpdateAges {
  /** Timestamp after the moment of counting. */
  readonly future: number;
  readonly under_1_hour: number;
  readonly under_1_day: number;
  readonly under_7_days: number;
  readonly under_14_days: number;
  /** 14 days and more: may be pruned (B7-42). */
  readonly older: number;
}

export interface GraphStatistics {
  readonly channels: number;
  readonly half_channels: number;
  /** Half channels whose update has the disable bit. */
  readonly disabled_half_channels: number;
  /** Channels with both updates and neither disabled. */
  readonly channels_usable_both_ways: number;
  readonly channels_without_update: number;
  readonly channels_with_one_update: number;
  readonly dying_channels: number;
  /** Channels whose funding output nobody has verified; they add nothing to the capacity. */
  readonly unverified_channels: number;
  readonly capacity_sat: number;
  readonly nodes: number;
  readonly announced_nodes: number;
  /** Channels of a node; the lower of the two middle ones when the number of nodes is even. 0 without nodes. */
  readonly degree_median: number;
  readonly degree_max: number;
  /** Unix seconds; 0 without updates. */
  readonly oldest_update: number;
  readonly newest_update: number;
  readonly updates_by_age: UpdateAges;
}

const degrees = (graph: NetworkGraph): Uint32Array => {
  const found = new Uint32Array(graph.nodeCount);
  let count = 0;
  graph.forEachNode((node) => {
    found[count++] = graph.nodeChannelCount(node);
  });
  return found.sort();
};

/** Unix seconds of all updates, ascending. */
const updateTimestamps = (graph: NetworkGraph): Uint32Array => {
  const found = new Uint32Array(graph.halfChannelCount);
  let count = 0;
  graph.forEachChannel((channel) => {
    if (graph.hasUpdate(channel, 0)) found[count++] = graph.updateTimestamp(channel, 0);
    if (graph.hasUpdate(channel, 1)) found[count++] = graph.updateTimestamp(channel, 1);
  });
  return found.sort();
};

const agesOf = (timestamps: Uint32Array, now: number): UpdateAges => {
  const ages = { future: 0, under_1_hour: 0, under_1_day: 0, under_7_days: 0, under_14_days: 0, older: 0 };
  for (const timestamp of timestamps) {
    const age = now - timestamp;
    if (age < 0) ages.future++;
    else if (age < HOUR_SECONDS) ages.under_1_hour++;
    else if (age < DAY_SECONDS) ages.under_1_day++;
    else if (age < 7 * DAY_SECONDS) ages.under_7_days++;
    else if (age < 14 * DAY_SECONDS) ages.under_14_days++;
    else ages.older++;
  }
  return ages;
};

/** @param now the moment that ages count from; without it the newest update's */
export const graphStatistics = (graph: NetworkGraph, now?: UnixSeconds): GraphStatistics => {
  let disabled = 0;
  let usable = 0;
  let without = 0;
  let one = 0;
  let unverified = 0;
  graph.forEachChannel((channel) => {
    const updates = Number(graph.hasUpdate(channel, 0)) + Number(graph.hasUpdate(channel, 1));
    const off = Number(graph.isDisabled(channel, 0)) + Number(graph.isDisabled(channel, 1));
    if (updates === 0) without++;
    if (updates === 1) one++;
    if (updates === 2 && off === 0) usable++;
    disabled += off;
    if (graph.channelSatoshis(channel) === 0) unverified++;
  });
  const sortedDegrees = degrees(graph);
  const timestamps = updateTimestamps(graph);
  const newest = timestamps.at(-1) ?? 0;
  return {
    channels: graph.channelCount,
    half_channels: graph.halfChannelCount,
    disabled_half_channels: disabled,
    channels_usable_both_ways: usable,
    channels_without_update: without,
    channels_with_one_update: one,
    dying_channels: graph.dyingCount,
    unverified_channels: unverified,
    capacity_sat: graph.capacitySat,
    nodes: graph.nodeCount,
    announced_nodes: graph.nodeAnnouncementCount,
    degree_median: sortedDegrees[(sortedDegrees.length - 1) >>> 1] ?? 0,
    degree_max: sortedDegrees.at(-1) ?? 0,
    oldest_update: timestamps[0] ?? 0,
    newest_update: newest,
    updates_by_age: agesOf(timestamps, now ?? newest),
  };
};
