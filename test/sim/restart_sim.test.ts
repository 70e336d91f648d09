/**
 * Stop and start of a whole daemon: the map comes back from its snapshot without a look at the store, is the map of the file, goes
 * on, and damage that nobody has read is found and healed behind it. After anything but a clean stop the store is read.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAP_FILE_NAME } from '../../src/daemon/map_file.ts';
import { MemoryFolder } from '../../src/store/memory_folder.test.support.ts';
import type { StoreOffset } from '../../src/wire/store_record.ts';
import { daemonOn, gossip, knowingHouse, spoil } from '../fixtures/memory_daemon.ts';

const NAME = 'gossip_store';
const WHOLE = [12, 24, 8];

/** A folder as a daemon with the whole map left it. */
const stopped = async (): Promise<MemoryFolder> => {
  const folder = new MemoryFolder();
  const daemon = await daemonOn(folder);
  for (const raw of gossip) daemon.ingest.offer(raw, 9);
  await daemon.run(3000);
  assert.deepEqual(daemon.whole(daemon.graph), WHOLE);
  assert.equal(daemon.store.loadReport.fromSnapshot, false);
  await daemon.stop();
  assert.ok(folder.exists(MAP_FILE_NAME));
  return folder;
};

type Daemon = Awaited<ReturnType<typeof daemonOn>>;

const flip = (folder: MemoryFolder, offset: StoreOffset, flags: number): void =>
  folder.open(NAME, 'write').write(Uint8Array.of(flags), offset - 12);

/** The map is what is in the file, both for us and for a full load. */
const assertWhole = async (daemon: Daemon): Promise<void> => {
  assert.deepEqual(daemon.whole(daemon.graph), WHOLE);
  await daemon.store.sync();
  daemon.fileAgrees();
};

test('the map comes back with a start that reads nothing, again and again, and is that of the file', async () => {
  const folder = await stopped();
  for (let round = 0; round < 3; round++) {
    const daemon = await daemonOn(folder);
    assert.ok(daemon.store.loadReport.fromSnapshot);
    await assertWhole(daemon);
    if (round > 0) {
      await daemon.run(4000);
      assert.equal(daemon.store.generation, 0);
    }
    await daemon.stop();
  }
});

test('a restored map is synced, compacted and added to like one that was read', async () => {
  const folder = new MemoryFolder();
  const first = await daemonOn(folder);
  for (const raw of gossip.slice(0, 20)) first.ingest.offer(raw, 9);
  await first.run(2000);
  const before = first.graph.channelCount;
  await first.stop();
  const daemon = await daemonOn(folder);
  assert.deepEqual([daemon.store.loadReport.fromSnapshot, daemon.graph.channelCount], [true, before]);
  daemon.connect(await knowingHouse());
  await daemon.run(10_000);
  assert.equal(daemon.seeker.status().state, 'synced');
  await assertWhole(daemon);
  daemon.store.compact();
  await daemon.run(3000);
  assert.equal(daemon.store.generation, 1);
  await assertWhole(daemon);
  await daemon.stop();
  const next = await daemonOn(folder);
  assert.ok(next.store.loadReport.fromSnapshot);
  await assertWhole(next);
  await next.stop();
});

test('after a kill with records appended the store is read, and the old snapshot is gone', async () => {
  const folder = new MemoryFolder();
  const first = await daemonOn(folder);
  for (const raw of gossip.slice(0, 20)) first.ingest.offer(raw, 9);
  await first.run(2000);
  await first.stop();
  const killed = await daemonOn(folder);
  for (const raw of gossip.slice(20)) killed.ingest.offer(raw, 9);
  await killed.run(3000);
  folder.restart();
  const daemon = await daemonOn(folder);
  assert.deepEqual([daemon.store.loadReport.fromSnapshot, folder.exists(MAP_FILE_NAME)], [false, false]);
  await assertWhole(daemon);
  await daemon.stop();
  assert.ok(folder.exists(MAP_FILE_NAME));
});

test('damage under a restored map is found in the background and healed from a peer', async () => {
  const folder = await stopped();
  const before = await daemonOn(folder);
  const { graph } = before;
  const announcement = graph.channelOffset(2);
  const update = graph.updateOffset(5, 1);
  const node = graph.nodeOffset(graph.channelNode(7, 0));
  const [flippedUpdate, flippedChannel] = [graph.updateOffset(6, 0), graph.channelOffset(9)];
  await before.stop();
  spoil(folder, announcement + 200, 20);
  spoil(folder, update + 70, 4);
  spoil(folder, node + 130, 30);
  flip(folder, flippedUpdate, 0xa0);
  flip(folder, flippedChannel, 0xa0);
  const daemon = await daemonOn(folder);
  assert.ok(daemon.store.loadReport.fromSnapshot);
  daemon.connect(await knowingHouse());
  await daemon.run(75_000);
  assert.ok(daemon.store.generation >= 1);
  assert.deepEqual([daemon.seeker.status().refetchLeft, daemon.store.state], [0, 'ok']);
  await assertWhole(daemon);
  await daemon.stop();
});

test('deleted flags that nobody set under a restored map are found without any other damage', async () => {
  const folder = await stopped();
  const before = await daemonOn(folder);
  const [update, channel] = [before.graph.updateOffset(6, 0), before.graph.channelOffset(9)];
  await before.stop();
  flip(folder, update, 0xa0);
  flip(folder, channel, 0xa0);
  const daemon = await daemonOn(folder);
  assert.ok(daemon.store.loadReport.fromSnapshot);
  daemon.connect(await knowingHouse());
  await daemon.run(20_000);
  assert.equal(daemon.store.generation, 1);
  assert.equal(daemon.meter.get('gossipd_store_flipped_flags_total'), 2);
  await assertWhole(daemon);
  await daemon.stop();
});

test('a damaged snapshot, and a store that went bad before a short run, lead to a full load', async () => {
  const folder = await stopped();
  folder.open(MAP_FILE_NAME, 'write').write(Uint8Array.of(1, 2, 3), 5000);
  const daemon = await daemonOn(folder);
  assert.equal(daemon.store.loadReport.fromSnapshot, false);
  await assertWhole(daemon);
  const at = daemon.graph.updateOffset(3, 0);
  await daemon.stop();
  spoil(folder, at + 20, 3);
  const short = await daemonOn(folder);
  assert.ok(short.store.loadReport.fromSnapshot);
  await short.stop();
  const next = await daemonOn(folder);
  assert.deepEqual([next.store.loadReport.fromSnapshot, next.store.loadReport.rewritten], [false, 'damage']);
  next.connect(await knowingHouse());
  await next.run(10_000);
  await assertWhole(next);
  await next.stop();
});
