import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../base/bytes.ts';
import { NETWORKS } from '../base/chain_hash.ts';
import { seededRng } from '../base/rng.ts';
import { ManualClock } from '../base/time.ts';
import { loadEngine } from '../crypto/engine.ts';
import { doubleSha256 } from '../crypto/hash.ts';
import { channelAnnouncementNodeId1At } from '../wire/channel_announcement.ts';
import {
  CHANNEL_UPDATE_SIGNED_FROM,
  channelUpdateDirection,
  channelUpdateScidHi,
  channelUpdateScidLo,
  channelUpdateTimestamp,
} from '../wire/channel_update.ts';
import { simnetSecret } from './identity.ts';
import { startLiveTraffic } from './live_traffic.ts';
import { type SignedMap, signChannel } from './sign_map.ts';
import { drawTopology } from './topology.ts';

const engine = loadEngine('fastest');
const topology = drawTopology(30, 10, seededRng(2));
topology.hasUpdate.fill(0, 0, 2);
const map: SignedMap = {
  seed: 2,
  topology,
  network: NETWORKS.regtest,
  engine,
  newestTimestamp: 0,
  nodeKey: (node) => engine.publicKey(simnetSecret(2, 'node', node)),
};

const run = (perSecond: number, share = 0, shares = 1, seconds = 100) => {
  const clock = new ManualClock();
  const offered: { raw: Uint8Array; atSeconds: number }[] = [];
  const stop = startLiveTraffic({
    map,
    perSecond,
    share,
    shares,
    clock,
    rng: seededRng(8),
    offer: (raw) => offered.push({ raw, atSeconds: Math.floor(clock.nowMs() / 1000) }),
  });
  clock.advance(seconds * 1000);
  return { clock, offered, stop };
};
const channelOf = (raw: Uint8Array): number =>
  topology.scidHi.findIndex(
    (hi, index) =>
      hi === channelUpdateScidHi(raw, 0) && topology.scidLo[index] === channelUpdateScidLo(raw, 0),
  );

test('makes about as many updates as asked for, of the present second, each signed by its node', () => {
  const { offered, stop } = run(5);
  stop();
  assert.ok(offered.length > 350 && offered.length < 650, `${offered.length} in 100 s`);
  for (const { raw, atSeconds } of offered.slice(0, 50)) {
    assert.equal(channelUpdateTimestamp(raw, 0), atSeconds);
    const announcement = signChannel(map, channelOf(raw)).message;
    const keyAt = channelAnnouncementNodeId1At(announcement, 0) + 33 * channelUpdateDirection(raw, 0);
    const hash = doubleSha256(raw.subarray(CHANNEL_UPDATE_SIGNED_FROM));
    assert.ok(engine.verify(raw.slice(2, 66), hash, announcement.slice(keyAt, keyAt + 33)));
  }
});

test('a peer makes the updates of its own share, and all shares together cover the map', () => {
  const seen = new Set<number>();
  for (const share of [0, 1, 2]) {
    for (const { raw } of run(5, share, 3).offered) {
      assert.equal(channelOf(raw) % 3, share);
      seen.add(channelOf(raw));
    }
  }
  assert.equal(seen.size, 29, 'every channel but the one without policies');
});

test('halves that have no policy get none', () => {
  for (const { raw } of run(10).offered) assert.notEqual(channelOf(raw), 0, toHex(raw, 98, 106));
});

test('stops when told, and does nothing at a rate of zero or without channels of its own', () => {
  const { clock, offered, stop } = run(5);
  stop();
  const before = offered.length;
  clock.advance(60_000);
  assert.equal(offered.length, before);
  assert.equal(clock.pending, 0);
  for (const idle of [run(0), run(5, 30, 31)]) {
    assert.equal(idle.offered.length, 0);
    assert.equal(idle.clock.pending, 0);
    idle.stop();
  }
});
