/**
 * What ingest/ accepts is what peers get: from the judges through the real store to a relay stream and to the answer of a
 * query, byte for byte (BOLT 7, rebroadcasting).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NETWORKS } from '../../src/base/chain_hash.ts';
import { silentLog } from '../../src/base/log.ts';
import { silentMeter } from '../../src/base/meter.ts';
import { seededRng } from '../../src/base/rng.ts';
import { ManualClock } from '../../src/base/time.ts';
import { NetworkGraph } from '../../src/graph/network_graph.ts';
import { GossipStore } from '../../src/store/gossip_store.ts';
import { memoryStoreFolder } from '../../src/store/memory_folder.test.support.ts';
import { RelayStream } from '../../src/sync/relay_stream.ts';
import { encodeFeatures } from '../../src/wire/feature_bits.ts';
import { House } from '../fixtures/ingest_house.ts';
import { makeChannel, makeIdentity, makeNode, makeUpdate, NOW_SECONDS } from '../fixtures/signed_gossip.ts';

const network = NETWORKS.regtest;
const DAY_SECONDS = 86_400;
const [alice, bob] = [makeIdentity('alice'), makeIdentity('bob')];

/** A house over a real store on a disk in memory, and a peer that has asked for everything. */
const setUp = async () => {
  const clock = new ManualClock();
  const graph = new NetworkGraph();
  const store = await GossipStore.open(
    { folder: memoryStoreFolder(), clock, rng: seededRng(1), log: silentLog, meter: silentMeter },
    (record) => graph.apply(record),
  );
  const house = new House({ store, graph, clock });
  const sent: Uint8Array[] = [];
  const relay = new RelayStream({
    ...{ graph, store, clock, log: silentLog, meter: silentMeter },
    network,
    send: (raw) => sent.push(raw),
    canSend: () => true,
    isEcho: () => false,
    flushIntervalMs: 60_000,
    staggerMs: 0,
    relayUnverified: true,
  });
  relay.onFilter({
    chain_hash: network.chainHashBytes,
    first_timestamp: 0,
    timestamp_range: 0xffffffff,
  });
  const flushed = (): Uint8Array[] => {
    clock.advance(61_000);
    return sent.splice(0);
  };
  const close = async (): Promise<void> => {
    relay.close();
    house.ingest.close();
    await store.close();
  };
  return { house, clock, graph, store, flushed, close };
};

const channel = makeChannel({ seed: 1, nodes: [alice, bob] });

test('a new channel_announcement is relayed with its update, as received (B7-12, B7-36)', async () => {
  const { house, flushed, close } = await setUp();
  const update = makeUpdate(channel);
  for (const raw of [channel.raw, update]) assert.equal(await house.offer(raw), 'accept accepted');
  assert.deepEqual(flushed(), [channel.raw, update]);
  assert.deepEqual(flushed(), [], 'once');
  await close();
});

test('a channel with an unknown even feature, and a node with one, are relayed all the same (B7-04, B7-18)', async () => {
  const { house, flushed, close } = await setUp();
  const features = encodeFeatures([4000]);
  const strange = makeChannel({ seed: 2, nodes: [alice, bob], features });
  const messages = [strange.raw, makeUpdate(strange), makeNode(alice, { features })];
  for (const raw of messages) assert.equal(await house.offer(raw), 'accept accepted');
  assert.deepEqual(flushed(), messages);
  await close();
});

test('unknown bytes behind the known fields are kept, relayed and served, as they are signed (B1-33, B7-49)', async () => {
  const { house, graph, store, flushed, close } = await setUp();
  const tail = Uint8Array.of(0xff, 0x03, 1, 2, 3);
  const longer = makeChannel({ seed: 3, nodes: [alice, bob], tail });
  const messages = [longer.raw, makeUpdate(longer, { tail }), makeNode(alice, { tail })];
  for (const raw of messages) assert.equal(await house.offer(raw), 'accept accepted');
  assert.deepEqual(flushed(), messages);
  const node = graph.nodeIndex(alice.key, 0);
  assert.deepEqual(
    [graph.channelOffset(0), graph.updateOffset(0, 0), graph.nodeOffset(node)].map((offset) =>
      store.readMessage(offset),
    ),
    messages,
  );
  await close();
});

test('newer messages replace older ones, signatures and all, and are what is relayed and served (R-01)', async () => {
  const { house, graph, store, flushed, close } = await setUp();
  const older = [makeUpdate(channel, { feeBaseMsat: 1 }), makeNode(alice, { alias: 'older' })];
  const newer = [
    makeUpdate(channel, { feeBaseMsat: 2, timestamp: NOW_SECONDS }),
    makeNode(alice, { alias: 'newer', timestamp: NOW_SECONDS }),
  ];
  for (const raw of [channel.raw, ...older, ...newer]) await house.offer(raw);
  for (const raw of older) assert.equal(await house.offer(raw, 2), 'ignore stale_timestamp');
  assert.deepEqual(flushed(), [channel.raw, ...newer]);
  assert.deepEqual(store.readMessage(graph.updateOffset(0, 0)), newer[0]);
  assert.deepEqual(store.readMessage(graph.nodeOffset(graph.nodeIndex(alice.key, 0))), newer[1]);
  assert.equal(graph.feeBaseMsat(0, 0), 2);
  await close();
});

test('a refresh without news is relayed when the last one is a day old, and not before (R-01, B7-36, B7-40)', async () => {
  const { house, clock, flushed, close } = await setUp();
  const first = makeUpdate(channel, { timestamp: NOW_SECONDS });
  for (const raw of [channel.raw, first]) await house.offer(raw);
  assert.deepEqual(flushed(), [channel.raw, first]);
  const early = makeUpdate(channel, { timestamp: NOW_SECONDS + 100 });
  assert.equal(await house.offer(early), 'ignore content_repeat');
  assert.deepEqual(flushed(), []);
  clock.advance(DAY_SECONDS * 1000);
  const refresh = makeUpdate(channel, { timestamp: NOW_SECONDS + DAY_SECONDS });
  assert.equal(await house.offer(refresh), 'accept accepted');
  assert.deepEqual(flushed(), [refresh]);
  await close();
});

test('of a channel that says too much the latest word is relayed, a little later (R-01)', async () => {
  const { house, clock, flushed, close } = await setUp();
  const said = Array.from({ length: 30 }, (_, index) =>
    makeUpdate(channel, { feeBaseMsat: index, timestamp: NOW_SECONDS + index }),
  );
  for (const raw of [channel.raw, ...said]) await house.offer(raw);
  assert.deepEqual(flushed(), [channel.raw, said[10]], 'ten changes are free');
  clock.advance(300_000);
  assert.deepEqual(flushed(), [said[29]]);
  await close();
});
