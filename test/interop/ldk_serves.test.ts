/**
 * LDK serves its map and our daemon takes it. LDK starts to send everything at the first gossip_timestamp_filter whatever that asks for,
 * and lists its channels, but leaves every query_short_channel_ids without an answer: the seeker has to find out.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LdkProcess } from './ldk_process.ts';
import { makeSmallMap } from './small_map.ts';
import { messagesOf, startDaemon, until } from './test_daemon.ts';

test('full sync from LDK, which never answers query_short_channel_ids: every message arrives, byte for byte', async (t) => {
  const map = makeSmallMap(11, 200, 68);
  const ldk = await LdkProcess.start(t, { identity: 7 });
  await ldk.fill(map.messages);
  const { port } = await ldk.ask('listen', {});
  const daemon = await startDaemon(t, { peers: [`${ldk.nodeId}@127.0.0.1:${port}`], utxo: map.utxo });
  const { seeker, graph, ingest } = daemon.parts;
  await until(
    'the seeker calls the sync complete',
    () => seeker.status().complete,
    () => seeker.status(),
  );
  assert.deepEqual(messagesOf(daemon), map.sorted);
  assert.equal(graph.channelCount, map.channels);
  assert.equal(graph.halfChannelCount, map.updates);
  assert.equal(graph.nodeAnnouncementCount, map.nodes);
  assert.equal(ingest.counts().accepted, map.messages.length);
  const [peer] = seeker.status().peers;
  assert.deepEqual({ has: peer?.has, known: peer?.known }, { has: map.channels, known: map.channels });
  assert.equal(daemon.status().rejected, 0);
});
