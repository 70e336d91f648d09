/**
 * A reorganisation takes back the spend of a channel: its records are deleted and appended afresh in the real store.
 *
 * The fear: CLN's reader finds the channel twice, or still dying; or a power cut in between loses more than that one channel, or
 * leaves it behind a refusal, so that peers cannot bring it back.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../../src/base/log.ts';
import { silentMeter } from '../../src/base/meter.ts';
import { seededRng } from '../../src/base/rng.ts';
import { ManualClock } from '../../src/base/time.ts';
import { NetworkGraph } from '../../src/graph/network_graph.ts';
import { GossipStore } from '../../src/store/gossip_store.ts';
import { MemoryFolder } from '../../src/store/memory_folder.test.support.ts';
import { readAsCln } from '../conformance/cln_reader.ts';
import { House, settled } from '../fixtures/ingest_house.ts';
import { makeChannel, makeIdentity, makeNode, makeUpdate, NOW_SECONDS } from '../fixtures/signed_gossip.ts';

const NAME = 'gossip_store';
const [alice, bob, carol] = [makeIdentity('alice'), makeIdentity('bob'), makeIdentity('carol')];
const closing = makeChannel({ seed: 1, nodes: [alice, bob] });
const other = makeChannel({ seed: 2, nodes: [bob, carol] });
const messages = [
  closing.raw,
  makeNode(alice),
  makeNode(bob),
  other.raw,
  makeNode(carol),
  ...[closing, other].flatMap((channel) => [makeUpdate(channel), makeUpdate(channel, { direction: 1 })]),
];

const open = async (folder: MemoryFolder) => {
  const clock = new ManualClock();
  const graph = new NetworkGraph();
  const store = await GossipStore.open(
    {
      folder,
      name: NAME,
      clock,
      rng: seededRng(1),
      log: silentLog,
      meter: silentMeter,
      lock: false,
      upkeepMs: 0,
    },
    (record) => graph.apply(record),
  );
  return { store, clock, graph, house: new House({ store, graph, clock }) };
};

/** A store with everything, in which the first channel is dying, durable; and one after its spend was taken back. */
const revived = async (folder: MemoryFolder, stopAfter?: number): Promise<void> => {
  const { store, clock, house } = await open(folder);
  for (const raw of messages) assert.equal(await house.offer(raw), 'accept accepted');
  house.ingest.channelSpent(closing.scidHi, closing.scidLo, 1000);
  const disabling = makeUpdate(closing, { timestamp: NOW_SECONDS, isDisabled: true });
  assert.equal(await house.offer(disabling), 'accept accepted');
  const syncing = store.sync();
  clock.advance(1000);
  await syncing;
  for (let turn = 0; turn < 3; turn++) await settled();
  if (stopAfter !== undefined) folder.stopAfter(stopAfter, stopAfter % 5);
  try {
    assert.equal(house.ingest.channelUnspent(closing.scidHi, closing.scidLo), true);
    await store.sync();
    clock.advance(2000);
    await settled();
    await store.close();
  } catch (error) {
    if (!folder.stopped) throw error;
  }
};

test('taken back: CLN reads the channel alive, once, with its updates, and every node (B7-13)', async () => {
  const folder = new MemoryFolder();
  await revived(folder);
  const view = readAsCln(folder.contents(NAME));
  assert.equal(view.channels.size, 2);
  const channel = view.channels.get(closing.scid);
  assert.equal(channel?.dying, false);
  assert.equal(channel?.satoshis, 0n);
  assert.ok(channel?.updates.every((offset) => offset > channel.offset));
  assert.equal(view.nodes.size, 3);
  const { graph, store } = await open(folder);
  assert.deepEqual([graph.channelCount, graph.halfChannelCount, graph.dyingCount], [2, 4, 0]);
  assert.equal(graph.nodeAnnouncementCount, 3);
  assert.deepEqual(store.loadReport.dropped, {});
  await store.close();
});

/** Types of the live records that are flagged DYING, and of those that are not. */
const byDying = (file: Uint8Array): readonly [number[], number[]] => {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const [dying, others]: [number[], number[]] = [[], []];
  for (let at = 1; at < file.length; at += 12 + view.getUint16(at + 2)) {
    const flags = view.getUint16(at);
    if ((flags & 0x8000) !== 0) continue;
    const isDying = (flags & 0x0800) !== 0;
    (isDying ? dying : others).push(view.getUint16(at + 12));
  }
  return [dying, others];
};

test('a disabling update of a dying channel is flagged DYING in the file, whether its channel was durable before or not (B7-31)', async () => {
  for (const isDurable of [false, true]) {
    const folder = new MemoryFolder();
    const { store, house } = await open(folder);
    for (const raw of messages) assert.equal(await house.offer(raw), 'accept accepted');
    if (isDurable) await store.sync();
    house.ingest.channelSpent(closing.scidHi, closing.scidLo, 1000);
    const disabling = makeUpdate(closing, { timestamp: NOW_SECONDS, isDisabled: true });
    assert.equal(await house.offer(disabling), 'accept accepted');
    await store.close();
    const [dying, others] = byDying(folder.contents(NAME));
    assert.deepEqual(dying, [256, 258, 258]);
    assert.deepEqual(
      others.filter((type) => type === 258),
      [258, 258],
    );
    assert.equal(readAsCln(folder.contents(NAME)).channels.get(closing.scid)?.dying, true);
  }
});

test('a removed dying channel leaves nothing behind for CLN, its chan_dying included (B7-43)', async () => {
  const folder = new MemoryFolder();
  const { store, house } = await open(folder);
  for (const raw of messages) assert.equal(await house.offer(raw), 'accept accepted');
  house.ingest.channelSpent(closing.scidHi, closing.scidLo, 1000);
  await store.sync();
  assert.equal(house.ingest.removeDying(1072), 1);
  await store.close();
  const view = readAsCln(folder.contents(NAME));
  assert.deepEqual([...view.channels.keys()], [other.scid]);
  const again = await open(folder);
  assert.deepEqual(again.store.loadReport.dropped, {}, 'no mark was forgotten');
  assert.equal(again.graph.anomalies.unknown_channel, 1, 'the tombstone, and nothing else');
  await again.store.close();
});

test('stopped at any operation, with any unsynced write lost: at most that channel is missing, and it may come back', async () => {
  let cases = 0;
  for (let stopAfter = 0; ; stopAfter++) {
    const folder = new MemoryFolder();
    await revived(folder, stopAfter);
    for (const lost of [-1, 0, 1, 2, 3]) {
      const after = folder.crash({ fate: ({ index, length }) => (index === lost ? 0 : length) });
      const { graph, store, house } = await open(after);
      cases++;
      assert.ok(
        graph.channelIndex(other.scidHi, other.scidLo) >= 0,
        `the other channel is whole at ${stopAfter}`,
      );
      if (graph.channelIndex(closing.scidHi, closing.scidLo) < 0) {
        assert.equal(await house.offer(closing.raw), 'accept accepted', 'nothing stands against it');
      }
      await store.close();
      assert.ok(readAsCln(after.contents(NAME)).channels.has(closing.scid), `${stopAfter} without ${lost}`);
    }
    if (!folder.stopped) break;
  }
  assert.ok(cases > 10);
});
