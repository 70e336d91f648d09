import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../base/rng.ts';
import { scidFromHalves } from '../base/short_channel_id.ts';
import { drawTopology, MAINNET_CHANNELS, MAINNET_NODES, type Topology } from './topology.ts';

const degreesOf = (topology: Topology): number[] => {
  const degrees = new Array<number>(topology.nodes).fill(0);
  for (const ends of [topology.nodeA, topology.nodeB]) for (const node of ends) degrees[node]! += 1;
  return degrees.sort((left, right) => left - right);
};

test('has the shape of mainnet: half of the nodes have one channel, a few have over a thousand', () => {
  const topology = drawTopology(MAINNET_CHANNELS, MAINNET_NODES, seededRng(1));
  const degrees = degreesOf(topology);
  assert.equal(degrees[0], 1);
  assert.equal(degrees[Math.floor(degrees.length * 0.5)], 1);
  assert.ok(degrees[Math.floor(degrees.length * 0.9)]! <= 12);
  assert.ok(degrees.at(-1)! > 1000);
  const disabled = topology.disabled.reduce((total, bit) => total + bit, 0) / topology.disabled.length;
  assert.ok(disabled > 0.33 && disabled < 0.37);
});

test('scids ascend and are unique, no channel joins a node with itself, every node has a channel', () => {
  for (const [channels, nodes] of [
    [1, 2],
    [3, 4],
    [10, 3],
    [500, 170],
    [5_000, 1_705],
    [9_000, 9_000],
    [900, 1_800],
  ] as const) {
    const topology = drawTopology(channels, nodes, seededRng(channels));
    let last = -1n;
    for (let channel = 0; channel < channels; channel++) {
      const scid = scidFromHalves(topology.scidHi[channel]!, topology.scidLo[channel]!);
      assert.ok(scid > last, `scid ${channel} of ${channels}`);
      last = scid;
      assert.notEqual(topology.nodeA[channel], topology.nodeB[channel]);
    }
    assert.ok(degreesOf(topology)[0]! >= 1, `a node without channels among ${nodes}`);
  }
});

test('the same seed gives the same network, another seed another', () => {
  const [one, same, other] = [7, 7, 8].map((seed) => drawTopology(400, 140, seededRng(seed)));
  assert.deepEqual(one, same);
  assert.notDeepEqual(one!.nodeA, other!.nodeA);
});

test('sizes that cannot be joined are refused', () => {
  assert.throws(() => drawTopology(2, 5, seededRng(1)), RangeError);
  assert.throws(() => drawTopology(5, 1, seededRng(1)), RangeError);
});
