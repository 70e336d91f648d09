import assert from 'node:assert/strict';
import { test } from 'node:test';
import { House } from '../../test/fixtures/ingest_house.ts';
import { makeChannel, makeNode, makeUpdate, NOW_SECONDS } from '../../test/fixtures/signed_gossip.ts';
import { encodeFeatures } from '../wire/feature_bits.ts';
import type { StoreOffset } from '../wire/store_record.ts';
import { NetworkGraph } from './network_graph.ts';
import { type NotRoutable, notRoutable } from './routability.ts';
import { SampleStore, sampleNodeId } from './sample_records.test.support.ts';

const SCID = { hi: 100 << 8, lo: 1 << 16 };
const UNKNOWN_EVEN = encodeFeatures([4000]);
const UNKNOWN_ODD = encodeFeatures([4001]);

/** A channel of 1,000 sat with one update, and what speaks against routing over it. */
const reasonWith = (
  limits: { htlcMinimum?: bigint; htlcMaximum?: bigint; disabled?: boolean },
  satoshis = 1000n,
): NotRoutable | null => {
  const store = new SampleStore();
  const graph = new NetworkGraph();
  for (const record of store.channel({ ...SCID, node1: sampleNodeId(1), node2: sampleNodeId(2) }, satoshis))
    graph.apply(record);
  assert.equal(
    notRoutable(graph, 0, 0, () => undefined),
    'no_update',
  );
  graph.apply(store.update({ ...SCID, direction: 0, timestamp: 5, ...limits }));
  return notRoutable(graph, 0, 0, () => undefined);
};

test('htlc limits that exclude each other, or exceed the capacity, are not routable (B7-37)', () => {
  assert.equal(reasonWith({ htlcMinimum: 5n, htlcMaximum: 4n }), 'htlc_maximum_below_minimum');
  assert.equal(reasonWith({ htlcMinimum: 4n, htlcMaximum: 4n }), null);
  assert.equal(reasonWith({ htlcMaximum: 1_000_001n }), 'htlc_maximum_above_capacity');
  assert.equal(reasonWith({ htlcMaximum: 1_000_000n }), null);
  assert.equal(reasonWith({ htlcMaximum: 1_000_001n }, 0n), null, 'nobody knows the capacity');
  assert.equal(reasonWith({ htlcMaximum: 2n ** 64n - 1n }), 'htlc_maximum_above_capacity');
  assert.equal(reasonWith({ htlcMaximum: 4n, disabled: true }), 'disabled');
});

test('a channel with an unknown even feature is kept and relayed, and not routable (B7-04)', async () => {
  for (const [features, reason] of [
    [UNKNOWN_EVEN, 'unknown_channel_feature'],
    [UNKNOWN_ODD, null],
  ] as const) {
    const house = new House();
    const channel = makeChannel({ seed: 1, features });
    assert.equal(await house.offer(channel.raw), 'accept accepted');
    assert.equal(await house.offer(makeUpdate(channel)), 'accept accepted');
    const read = (offset: StoreOffset): Uint8Array | undefined => house.log.readMessage(offset);
    assert.equal(notRoutable(house.graph, 0, 0, read), reason);
    assert.deepEqual(house.log.messages(256), [channel.raw], 'whoever reads the store gets it');
    house.ingest.channelSpent(channel.scidHi, channel.scidLo, 5);
    assert.equal(notRoutable(house.graph, 0, 0, read), 'dying');
  }
});

test('a node with an unknown even feature is kept, and its channels are not routable in either direction (B7-18)', async () => {
  const house = new House();
  const channel = makeChannel({ seed: 1 });
  const [, second] = channel.nodes;
  await house.offer(channel.raw);
  for (const direction of [0, 1] as const) await house.offer(makeUpdate(channel, { direction }));
  const read = (offset: StoreOffset): Uint8Array | undefined => house.log.readMessage(offset);
  assert.equal(notRoutable(house.graph, 0, 0, read), null);
  const raw = makeNode(second, { features: UNKNOWN_EVEN });
  assert.equal(await house.offer(raw), 'accept accepted');
  for (const direction of [0, 1] as const) {
    assert.equal(notRoutable(house.graph, 0, direction, read), 'unknown_node_feature');
  }
  await house.offer(makeNode(second, { features: UNKNOWN_ODD, timestamp: NOW_SECONDS }));
  assert.equal(notRoutable(house.graph, 0, 0, read), null);
});
