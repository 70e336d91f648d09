import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../base/rng.ts';
import { NetworkGraph } from './network_graph.ts';
import { SampleStore, sampleNodeId } from './sample_records.test.support.ts';

const A = sampleNodeId(1);
const B = sampleNodeId(2);

const range = (graph: NetworkGraph, firstBlock: number, blockCount: number): bigint[] => {
  const found: bigint[] = [];
  graph.channelsInBlocks(firstBlock, blockCount, (channel) => {
    found.push((BigInt(graph.scidHi(channel)) << 32n) | BigInt(graph.scidLo(channel)));
  });
  return found;
};

const ascending = (left: bigint, right: bigint): number => (left < right ? -1 : left > right ? 1 : 0);

test('a range of blocks holds its first block, not the one behind it, up to the highest there is', () => {
  const store = new SampleStore();
  const graph = new NetworkGraph();
  for (const block of [0, 100, 101, 102, 0xffffff]) {
    for (const record of store.channel({ hi: block * 256, lo: 7, node1: A, node2: B }, 1n))
      graph.apply(record);
  }
  const blocks = (first: number, count: number): number[] =>
    range(graph, first, count).map((scid) => Number(scid >> 40n));
  assert.deepEqual(blocks(100, 2), [100, 101]);
  assert.deepEqual(blocks(100, 0), []);
  assert.deepEqual(blocks(103, 1000), []);
  assert.deepEqual(blocks(0, 1), [0]);
  assert.deepEqual(blocks(0, 0xffffffff), [0, 100, 101, 102, 0xffffff]);
  assert.deepEqual(blocks(0xffffffff, 0xffffffff), []);
  assert.deepEqual(blocks(0xffffff, 1), [0xffffff]);
});

test('an empty graph has an empty order', () => {
  assert.deepEqual(range(new NetworkGraph(), 0, 0xffffffff), []);
});

test('the sorted index stays exact through first build, merges, removals and reused slots', () => {
  const rng = seededRng(11);
  const store = new SampleStore();
  const graph = new NetworkGraph();
  const live = new Set<bigint>();
  const word = (): number => Math.floor(rng.fraction() * 2 ** 32);
  const add = (hi: number, lo: number): void => {
    for (const record of store.channel({ hi, lo, node1: A, node2: B }, 1n)) graph.apply(record);
    live.add((BigInt(hi) << 32n) | BigInt(lo));
  };
  const removeSome = (share: number): void => {
    for (const scid of live) {
      if (rng.fraction() >= share) continue;
      graph.apply(store.removal(Number(scid >> 32n), Number(scid & 0xffffffffn)));
      live.delete(scid);
    }
  };
  const check = (): void => {
    assert.deepEqual(range(graph, 0, 2 ** 24), [...live].sort(ascending));
  };
  // 6000 channels take the counting sort, the later batches the comparing one; few upper halves make lower ones decide.
  for (let number = 0; number < 6000; number++) add(number % 3 === 0 ? 5 : word(), word());
  check();
  check();
  removeSome(0.3);
  check();
  for (let number = 0; number < 500; number++) add(word(), word());
  removeSome(0.1);
  for (let number = 0; number < 900; number++) add(5, word());
  check();
  removeSome(1);
  check();
  add(1, 1);
  check();
});
