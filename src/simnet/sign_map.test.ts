import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareBytes } from '../base/bytes.ts';
import { NETWORKS } from '../base/chain_hash.ts';
import { seededRng } from '../base/rng.ts';
import { loadEngine } from '../crypto/engine.ts';
import { fundingScriptPubkey } from '../crypto/funding_script.ts';
import { doubleSha256 } from '../crypto/hash.ts';
import {
  CHANNEL_ANNOUNCEMENT_SIGNED_FROM,
  channelAnnouncementBitcoinKey1At,
  channelAnnouncementBitcoinKey2At,
  channelAnnouncementNodeId1At,
  channelAnnouncementScidHi,
  channelAnnouncementScidLo,
  checkChannelAnnouncement,
} from '../wire/channel_announcement.ts';
import {
  CHANNEL_UPDATE_SIGNED_FROM,
  channelUpdateDirection,
  channelUpdateFeeProportionalMillionths,
  channelUpdateHtlcMaximumMsat,
  channelUpdateHtlcMinimumMsat,
  channelUpdateIsDisabled,
  channelUpdateTimestamp,
  checkChannelUpdate,
} from '../wire/channel_update.ts';
import { isWireFault } from '../wire/fault.ts';
import {
  checkNodeAnnouncement,
  decodeNodeAnnouncement,
  NODE_ANNOUNCEMENT_SIGNED_FROM,
  nodeAnnouncementNodeIdAt,
  nodeAnnouncementTimestamp,
} from '../wire/node_announcement.ts';
import { simnetSecret } from './identity.ts';
import { type SignedMap, signChannel, signNode, signUpdate, TIMESTAMP_SPREAD_SECONDS } from './sign_map.ts';
import { drawTopology } from './topology.ts';

const engine = loadEngine('fastest');
const NEWEST = 1_700_000_000;
const CHANNELS = 40;

const mapOf = (seed: number): SignedMap => ({
  seed,
  topology: drawTopology(CHANNELS, 14, seededRng(seed)),
  network: NETWORKS.regtest,
  engine,
  newestTimestamp: NEWEST,
  nodeKey: (node) => engine.publicKey(simnetSecret(seed, 'node', node)),
});
const map = mapOf(11);
const channels = Array.from({ length: CHANNELS }, (_, channel) => channel);

const verifies = (raw: Uint8Array, signedFrom: number, index: number, key: Uint8Array): boolean =>
  engine.verify(raw.slice(2 + 64 * index, 66 + 64 * index), doubleSha256(raw.subarray(signedFrom)), key);

test('every channel_announcement is sound: four good signatures, ordered nodes, its own scid (B7-02, B7-03)', () => {
  for (const channel of channels) {
    const { message, script } = signChannel(map, channel);
    assert.equal(checkChannelAnnouncement(message, 0, message.length), undefined);
    const keysAt = channelAnnouncementNodeId1At(message, 0);
    for (let index = 0; index < 4; index++) {
      const key = message.slice(keysAt + 33 * index, keysAt + 33 * (index + 1));
      assert.ok(
        verifies(message, CHANNEL_ANNOUNCEMENT_SIGNED_FROM, index, key),
        `channel ${channel}, signature ${index}`,
      );
    }
    assert.ok(compareBytes(message, keysAt, message, keysAt + 33, 33) < 0);
    assert.equal(channelAnnouncementScidHi(message, 0), map.topology.scidHi[channel]);
    assert.equal(channelAnnouncementScidLo(message, 0), map.topology.scidLo[channel]);
    const keys = [
      channelAnnouncementBitcoinKey1At(message, 0),
      channelAnnouncementBitcoinKey2At(message, 0),
    ] as const;
    assert.deepEqual(script, fundingScriptPubkey(message, ...keys));
  }
});

test('every channel_update is signed by the node of its direction and says what the topology says', () => {
  const { topology } = map;
  for (const channel of channels) {
    const announcement = signChannel(map, channel).message;
    const keysAt = channelAnnouncementNodeId1At(announcement, 0);
    const directions = ([0, 1] as const).map((side) => {
      const raw = signUpdate(map, channel, side);
      const half = 2 * channel + side;
      assert.equal(checkChannelUpdate(raw, 0, raw.length), undefined);
      const direction = channelUpdateDirection(raw, 0);
      const key = announcement.slice(keysAt + 33 * direction, keysAt + 33 * (direction + 1));
      assert.ok(verifies(raw, CHANNEL_UPDATE_SIGNED_FROM, 0, key));
      assert.equal(channelUpdateIsDisabled(raw, 0), topology.disabled[half] === 1);
      assert.equal(channelUpdateHtlcMinimumMsat(raw, 0), topology.htlcMinimumMsat[half]);
      assert.equal(channelUpdateHtlcMaximumMsat(raw, 0), topology.htlcMaximumMsat[half]);
      assert.equal(channelUpdateFeeProportionalMillionths(raw, 0), topology.feePpm[half]);
      const timestamp = channelUpdateTimestamp(raw, 0);
      assert.ok(timestamp <= NEWEST && timestamp > NEWEST - TIMESTAMP_SPREAD_SECONDS);
      return direction;
    });
    assert.deepEqual(directions.sort(), [0, 1]);
  }
});

test('a change makes a newer update of the same half', () => {
  const raw = signUpdate(map, 3, 1, { timestamp: NEWEST + 5, feePpm: 77 });
  assert.equal(channelUpdateTimestamp(raw, 0), NEWEST + 5);
  assert.equal(channelUpdateFeeProportionalMillionths(raw, 0), 77);
  assert.equal(channelUpdateDirection(raw, 0), channelUpdateDirection(signUpdate(map, 3, 1), 0));
});

test('every node_announcement is sound and signed by its node', () => {
  for (let node = 0; node < map.topology.nodes; node++) {
    const raw = signNode(map, node);
    assert.equal(checkNodeAnnouncement(raw, 0, raw.length), undefined);
    const at = nodeAnnouncementNodeIdAt(raw, 0);
    const key = raw.slice(at, at + 33);
    assert.deepEqual(key, map.nodeKey(node));
    assert.ok(verifies(raw, NODE_ANNOUNCEMENT_SIGNED_FROM, 0, key));
    assert.ok(nodeAnnouncementTimestamp(raw, 0) <= NEWEST);
    const decoded = decodeNodeAnnouncement(raw);
    assert.ok(!isWireFault(decoded));
    assert.deepEqual(decoded.addresses, [
      { kind: 'ipv4', host: `198.51.100.${1 + (node % 254)}`, port: 9735 },
    ]);
  }
});

test('the same seed signs the same bytes, another seed others', () => {
  assert.deepEqual(signChannel(mapOf(11), 5), signChannel(map, 5));
  assert.deepEqual(signUpdate(mapOf(11), 5, 0), signUpdate(map, 5, 0));
  assert.deepEqual(signNode(mapOf(11), 5), signNode(map, 5));
  assert.notDeepEqual(signChannel(mapOf(12), 5), signChannel(map, 5));
});

test('secrets differ by seed, role and index, and are valid keys', () => {
  const seen = new Set<string>();
  for (const seed of [0, 1, 0xffffffff]) {
    for (const role of ['node', 'funding_a', 'funding_b'] as const) {
      for (const index of [0, 1, 70_000]) {
        const key = engine.publicKey(simnetSecret(seed, role, index));
        seen.add(Buffer.from(key).toString('hex'));
      }
    }
  }
  assert.equal(seen.size, 27);
});
