/**
 * Our daemon serves LDK, and both pass live gossip on to each other; and how each of them takes a message whose signature is
 * bad. Three parties: the daemon, the LDK process, and a peer that the test speaks through.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { toHex } from '../../src/base/bytes.ts';
import type { Daemon } from '../../src/daemon/daemon.ts';
import { flipBit } from '../fixtures/signed_gossip.ts';
import { LdkProcess } from './ldk_process.ts';
import { RawPeer } from './raw_peer.ts';
import { makeSmallMap, type SmallMap } from './small_map.ts';
import { fillDaemon, messagesOf, portOf, startDaemon, until } from './test_daemon.ts';

const secondsAgo = (seconds: number): number => Math.floor(Date.now() / 1000) - seconds;

const allOf = async (ldk: LdkProcess): Promise<string[]> =>
  [...(await ldk.ask('messages', {})).messages].sort();

/** Waits until LDK holds as many messages as the map has. */
const untilLdkHas = (ldk: LdkProcess, map: SmallMap): Promise<void> =>
  until(
    'LDK has the whole map',
    async () => {
      const { channels, updates, node_announcements } = await ldk.ask('counts', {});
      return channels === map.channels && updates === map.updates && node_announcements === map.nodes;
    },
    () => ldk.ask('counts', {}),
  );

/** A daemon that holds the map, and an LDK that dials it and takes everything. */
const daemonServesLdk = async (
  t: TestContext,
  map: SmallMap,
): Promise<{ daemon: Daemon; ldk: LdkProcess }> => {
  const [daemon, ldk] = await Promise.all([
    startDaemon(t, { utxo: map.utxo }),
    LdkProcess.start(t, { identity: 7 }),
  ]);
  await fillDaemon(daemon, map.messages);
  await ldk.ask('dial', { port: portOf(daemon), node_id: daemon.parts.nodeId });
  await untilLdkHas(ldk, map);
  return { daemon, ldk };
};

test('Q-18 full sync to LDK: it dials, sends its filter, and ends with every message, byte for byte', async (t) => {
  const map = makeSmallMap(12, 200, 68);
  const { ldk } = await daemonServesLdk(t, map);
  assert.deepEqual(await allOf(ldk), map.sorted);
});

test('R-02 live relay to LDK: a newer channel_update that is offered to us reaches its graph', async (t) => {
  const map = makeSmallMap(13, 20, 8);
  const { daemon, ldk } = await daemonServesLdk(t, map);
  const newer = map.newerUpdate(3, 1, secondsAgo(60));
  await fillDaemon(daemon, [newer]);
  await until('LDK has the newer update', async () => (await allOf(ldk)).includes(toHex(newer)));
  const counts = await ldk.ask('counts', {});
  assert.deepEqual([counts.channels, counts.updates], [map.channels, map.updates]);
});

test('live relay from LDK: a newer channel_update that a third node tells LDK reaches our store', async (t) => {
  const map = makeSmallMap(14, 20, 8);
  const ldk = await LdkProcess.start(t, { identity: 7 });
  await ldk.fill(map.messages);
  const { port } = await ldk.ask('listen', {});
  const daemon = await startDaemon(t, { peers: [`${ldk.nodeId}@127.0.0.1:${port}`], utxo: map.utxo });
  await until(
    'LDK has sent its map',
    () => messagesOf(daemon).length === map.messages.length,
    () => daemon.status(),
  );
  const third = await RawPeer.dial(t, { port, nodeId: ldk.nodeId, identity: 31 });
  const newer = map.newerUpdate(5, 0, secondsAgo(60));
  third.send(newer);
  await until('our store has the newer update', () => messagesOf(daemon).includes(toHex(newer)));
  assert.equal(daemon.parts.graph.halfChannelCount, map.updates);
});

test('LDK warns about a channel_update with a bad signature and keeps what it had', async (t) => {
  const map = makeSmallMap(15, 4, 4);
  const ldk = await LdkProcess.start(t, { identity: 7 });
  await ldk.fill(map.messages);
  const { port } = await ldk.ask('listen', {});
  const peer = await RawPeer.dial(t, { port, nodeId: ldk.nodeId, identity: 31 });
  peer.send(flipBit(map.newerUpdate(1, 0, secondsAgo(60)), 40));
  await until('LDK answers', () => peer.warnings.length > 0 || peer.closed);
  assert.deepEqual(peer.warnings, ['Invalid signature on channel_update message']);
  assert.deepEqual(await allOf(ldk), map.sorted);
});

test('B7-09 B7-16 B7-29 we warn about a bad signature, close with broke_gossip_rules, and store nothing of it', async (t) => {
  const map = makeSmallMap(16, 4, 4);
  const other = makeSmallMap(17, 4, 4);
  const daemon = await startDaemon(t, { utxo: map.utxo });
  await fillDaemon(daemon, map.messages);
  const { store, meter } = daemon.parts;
  await store.sync();
  const bytesBefore = store.publishedBytes;
  const tampered: readonly (readonly [string, Uint8Array])[] = [
    ['bad_signature', flipBit(map.newerUpdate(1, 0, secondsAgo(60)), 40)],
    ['bad_node_signature_1', flipBit(other.messages[0]!, 40)],
    ['bad_signature', flipBit(map.newerNode(2, secondsAgo(60)), 40)],
  ];
  for (const [index, [reason, raw]] of tampered.entries()) {
    const peer = await RawPeer.dial(t, {
      port: portOf(daemon),
      nodeId: daemon.parts.nodeId,
      identity: 31 + index,
    });
    peer.send(raw);
    await until('we close the connection', () => peer.closed);
    assert.deepEqual(peer.warnings, [reason]);
    assert.equal(meter.get('gossipd_connections_closed_total', 'broke_gossip_rules'), index + 1);
  }
  await store.sync();
  assert.equal(store.publishedBytes, bytesBefore);
  assert.deepEqual(messagesOf(daemon), map.sorted);
  assert.equal(daemon.status().rejected, tampered.length);
});
