import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unixSeconds } from '../base/time.ts';
import { NetworkGraph } from './network_graph.ts';
import { SampleStore, sampleNodeId } from './sample_records.test.support.ts';

const DAY = 86_400;
const NOW = 1_700_000_000;

test('an empty graph has zeros everywhere', () => {
  const { updates_by_age, ...figures } = new NetworkGraph().statistics(unixSeconds(NOW));
  assert.deepEqual(new Set(Object.values(figures)), new Set([0]));
  assert.deepEqual(new Set(Object.values(updates_by_age)), new Set([0]));
});

test('statistics count channels, halves, nodes, degrees and the ages of updates', () => {
  const store = new SampleStore();
  const graph = new NetworkGraph();
  const hub = sampleNodeId(0);
  for (let number = 1; number <= 5; number++) {
    const satoshis = number === 5 ? 0n : 1000n;
    const channel = { hi: number, lo: 1, node1: hub, node2: sampleNodeId(number) };
    for (const record of store.channel(channel, satoshis)) graph.apply(record);
  }
  const update = (hi: number, direction: 0 | 1, age: number, disabled = false): void => {
    graph.apply(store.update({ hi, lo: 1, direction, timestamp: NOW - age, disabled }));
  };
  update(1, 0, -60);
  update(1, 1, 60);
  update(2, 0, 2 * 3600, true);
  update(2, 1, 3 * DAY);
  update(3, 0, 14 * DAY - 1);
  update(4, 1, 14 * DAY, true);
  graph.apply(store.node(hub, 5));
  graph.apply(store.dying(4, 1, 9));
  const statistics = graph.statistics(unixSeconds(NOW));
  assert.deepEqual(statistics, {
    channels: 5,
    half_channels: 6,
    disabled_half_channels: 2,
    channels_usable_both_ways: 1,
    channels_without_update: 1,
    channels_with_one_update: 2,
    dying_channels: 1,
    unverified_channels: 1,
    capacity_sat: 4000,
    nodes: 6,
    announced_nodes: 1,
    degree_median: 1,
    degree_max: 5,
    oldest_update: NOW - 14 * DAY,
    newest_update: NOW + 60,
    updates_by_age: {
      future: 1,
      under_1_hour: 1,
      under_1_day: 1,
      under_7_days: 1,
      under_14_days: 1,
      older: 1,
    },
  });
  assert.deepEqual(graph.statistics().updates_by_age, {
    future: 0,
    under_1_hour: 2,
    under_1_day: 1,
    under_7_days: 1,
    under_14_days: 0,
    older: 2,
  });
});
