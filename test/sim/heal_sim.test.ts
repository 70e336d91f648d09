/**
 * The whole way of a hole: bytes of a running store's file go bad, the store leaves them behind in a new file, the map follows, the
 * seeker asks a peer for exactly what was in the hole, and ingest lets it in again with its signatures checked. Also with the hole
 * found at the start instead, and with the echo memory of the peer in between.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryFolder } from '../../src/store/memory_folder.test.support.ts';
import { daemonOn, gossip, knowingHouse, spoil } from '../fixtures/memory_daemon.ts';

test('holes in the file of a running daemon are healed from a peer, message by message', async () => {
  const folder = new MemoryFolder();
  const daemon = await daemonOn(folder);
  const { graph, store, ingest, seeker, run, received } = daemon;
  for (const raw of gossip) ingest.offer(raw, 9);
  await run(3000);
  assert.deepEqual(daemon.whole(graph), [12, 24, 8]);
  daemon.connect(await knowingHouse());
  await run(10_000);
  assert.equal(seeker.status().state, 'synced');
  received.bytes = 0;
  received.gossip = [];
  // An announcement, an update, and the end of a node_announcement with the header behind it.
  spoil(folder, graph.channelOffset(2) + 200, 20);
  spoil(folder, graph.updateOffset(5, 1) + 70, 4);
  spoil(folder, graph.nodeOffset(graph.channelNode(7, 0)) + 130, 30);
  await run(60_000);
  assert.ok(store.generation >= 1);
  assert.deepEqual(daemon.whole(graph), [12, 24, 8]);
  assert.deepEqual([seeker.status().refetchLeft, store.state], [0, 'ok']);
  await store.sync();
  daemon.fileAgrees();
  const lostBytes = received.gossip.reduce((total, raw) => total + raw.length, 0);
  assert.ok(received.gossip.length >= 5 && received.gossip.length <= 9, `${received.gossip.length} messages`);
  assert.ok(received.bytes < lostBytes + 1_000, 'no list, nothing that was not asked for');
  assert.equal(daemon.meter.get('gossipd_refetch_recovered_total'), received.gossip.length);
  // What stayed and what came back is still known to be an echo.
  graph.forEachChannel((channel) => {
    assert.ok(daemon.has.has(graph.channelOffset(channel)) && daemon.has.has(graph.updateOffset(channel, 0)));
  });
  const told = daemon.lines.map(({ message }) => message);
  assert.ok(
    told.some((line) => /were lost with the damaged part of the store; fetching them again/.test(line)),
  );
  assert.ok(told.some((line) => /all that was lost .* is back/.test(line)));
  await store.close();
});

test('a hole found at the start is healed as soon as there is a peer', async () => {
  const folder = new MemoryFolder();
  const before = await daemonOn(folder);
  for (const raw of gossip) before.ingest.offer(raw, 9);
  await before.run(3000);
  const at = before.graph.channelOffset(4);
  await before.store.close();
  spoil(folder, at + 30, 40);
  const daemon = await daemonOn(folder);
  assert.equal(daemon.graph.channelCount, 11);
  daemon.connect(await knowingHouse());
  await daemon.run(10_000);
  assert.deepEqual(daemon.whole(daemon.graph), [12, 24, 8]);
  assert.deepEqual([daemon.seeker.status().state, daemon.seeker.status().refetchLeft], ['synced', 0]);
  await daemon.store.sync();
  daemon.fileAgrees();
  await daemon.store.close();
});
