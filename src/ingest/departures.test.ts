import assert from 'node:assert/strict';
import { test } from 'node:test';
import { House } from '../../test/fixtures/ingest_house.ts';
import {
  makeChannel,
  makeIdentity,
  makeNode,
  makeUpdate,
  NOW_SECONDS,
} from '../../test/fixtures/signed_gossip.ts';
import { scidFromParts } from '../base/short_channel_id.ts';
import { DYING_BLOCKS } from './departures.ts';

const DAY_MS = 86_400_000;
const [alice, bob, carol] = [makeIdentity('alice'), makeIdentity('bob'), makeIdentity('carol')];
const first = makeChannel({ seed: 1, nodes: [alice, bob], scid: scidFromParts(1, 1, 1) });
const second = makeChannel({ seed: 2, nodes: [alice, carol], scid: scidFromParts(2, 2, 2) });

const offerAll = async (house: House, ...messages: readonly Uint8Array[]): Promise<void> => {
  for (const raw of messages) assert.equal(await house.offer(raw), 'accept accepted');
};

test('prune: a channel goes when either side has been silent for two weeks; a side that never spoke counts as good (B7-42)', async () => {
  const house = new House();
  await offerAll(house, first.raw, second.raw);
  await offerAll(
    house,
    makeUpdate(first, { timestamp: NOW_SECONDS }),
    makeUpdate(first, { direction: 1, timestamp: NOW_SECONDS }),
  );
  await offerAll(house, makeUpdate(second, { timestamp: NOW_SECONDS }));
  assert.equal(house.ingest.prune(), 0);
  house.clock.advance(10 * DAY_MS);
  const later = NOW_SECONDS + 10 * 86_400;
  await offerAll(house, makeUpdate(first, { timestamp: later }), makeUpdate(second, { timestamp: later }));
  house.clock.advance(4 * DAY_MS);
  assert.equal(house.ingest.prune(), 0, 'exactly two weeks old is still good');
  house.clock.advance(1000);
  assert.equal(house.ingest.prune(), 1);
  assert.equal(house.graph.channelIndex(first.scidHi, first.scidLo), -1);
  assert.equal(house.graph.channelCount, 1);
  assert.deepEqual(house.log.messages(256), [second.raw]);
  assert.equal(house.log.messages(258).length, 1);
  assert.equal(house.log.messages(4103).length, 1, 'concurrent readers are told');
  assert.equal(await house.offer(first.raw), 'ignore zombie_channel');
  assert.equal(house.ingest.isZombie(first.scidHi, first.scidLo), true);
  assert.equal(house.meter.get('gossipd_channels_removed_total', 'one_side_silent'), 1);
  assert.deepEqual(house.replayed().statistics(), house.graph.statistics());
});

test('prune: a channel without any update goes two weeks after it arrived (B7-42)', async () => {
  const house = new House();
  await offerAll(house, first.raw);
  house.clock.advance(7 * DAY_MS);
  await offerAll(house, second.raw);
  house.clock.advance(7 * DAY_MS + 1000);
  assert.equal(house.ingest.prune(), 1);
  assert.deepEqual(house.log.messages(256), [second.raw]);
});

test('prune: after a load, silence counts from the first look (B7-42)', async () => {
  const before = new House();
  await offerAll(before, first.raw);
  const house = new House({ graph: before.replayed(), store: before.log, clock: before.clock });
  house.clock.advance(20 * DAY_MS);
  assert.equal(house.ingest.prune(), 0);
  house.clock.advance(14 * DAY_MS + 1000);
  assert.equal(house.ingest.prune(), 1);
});

test('a node that loses its last channel goes with its announcement (B7-44)', async () => {
  const house = new House();
  await offerAll(house, first.raw, second.raw, makeUpdate(second, { timestamp: NOW_SECONDS }));
  await offerAll(house, makeNode(bob), makeNode(carol));
  house.clock.advance(14 * DAY_MS);
  house.clock.advance(1000);
  await offerAll(house, makeUpdate(second, { timestamp: NOW_SECONDS + 14 * 86_400 }));
  assert.equal(house.ingest.prune(), 1);
  assert.equal(house.graph.nodeCount, 2);
  assert.deepEqual(house.log.messages(257), [makeNode(carol)]);
});

test('a node_announcement moves behind the channels that remain of its node, copy first (cln-gossip A.5 rule 3)', async () => {
  const house = new House();
  const announcement = makeNode(alice);
  await offerAll(house, first.raw, announcement, second.raw);
  house.clock.advance(13 * DAY_MS);
  await offerAll(house, makeUpdate(second, { timestamp: NOW_SECONDS + 13 * 86_400 }));
  house.clock.advance(DAY_MS + 1000);
  assert.equal(house.ingest.prune(), 1);
  assert.deepEqual(
    house.log.live().map((record) => record.type),
    [256, 4101, 258, 257, 4103],
    'the copy is appended before the channel is deleted',
  );
  assert.deepEqual(house.log.messages(257), [announcement]);
  const replayed = house.replayed();
  assert.equal(replayed.nodeAnnouncementCount, 1);
  assert.deepEqual(
    replayed.anomalies,
    { ...house.graph.anomalies, unknown_channel: 1 },
    'only the tombstone finds nothing',
  );
});

test('a node_announcement that is already behind a remaining channel stays where it is', async () => {
  const house = new House();
  await offerAll(house, first.raw, second.raw, makeNode(alice));
  house.clock.advance(13 * DAY_MS);
  await offerAll(house, makeUpdate(second, { timestamp: NOW_SECONDS + 13 * 86_400 }));
  house.clock.advance(DAY_MS + 1000);
  assert.equal(house.ingest.prune(), 1);
  assert.equal(house.log.records.filter((record) => record.type === 257).length, 1);
});

test('a dying channel does not count as one that remains: readers pass it over', async () => {
  const house = new House();
  const third = makeChannel({ seed: 3, nodes: [alice, bob], scid: scidFromParts(3, 3, 3) });
  await offerAll(house, first.raw, second.raw, makeNode(alice), third.raw);
  house.ingest.channelSpent(second.scidHi, second.scidLo, 10);
  assert.equal(
    house.log.records.filter((record) => record.type === 257).length,
    1,
    'the first still holds it',
  );
  house.ingest.channelSpent(first.scidHi, first.scidLo, 10);
  assert.deepEqual(
    house.log.live().map((record) => record.type),
    [256, 4101, 256, 4101, 256, 4101, 4106, 257, 4106],
  );
});

test('one copy moves when several channels of the node leave at once', async () => {
  const house = new House();
  const third = makeChannel({ seed: 3, nodes: [alice, bob], scid: scidFromParts(3, 3, 3) });
  await offerAll(house, first.raw, makeNode(alice), second.raw, third.raw);
  house.clock.advance(13 * DAY_MS);
  await offerAll(house, makeUpdate(third, { timestamp: NOW_SECONDS + 13 * 86_400 }));
  house.clock.advance(DAY_MS + 1000);
  assert.equal(house.ingest.prune(), 2);
  assert.equal(house.log.records.filter((record) => record.type === 257).length, 2);
  assert.deepEqual(house.log.messages(257), [makeNode(alice)]);
});

test('a spent channel is dying for 72 blocks, then it is removed (B7-13, B7-43)', async () => {
  const house = new House();
  await offerAll(house, first.raw, second.raw, makeUpdate(first), makeNode(bob));
  assert.equal(house.ingest.channelSpent(first.scidHi, first.scidLo, 1000), true);
  assert.equal(house.ingest.channelSpent(first.scidHi, first.scidLo, 1001), false, 'once is enough');
  const channel = house.graph.channelIndex(first.scidHi, first.scidLo);
  assert.equal(house.graph.isDying(channel), true);
  assert.equal(house.graph.dyingDeadline(channel), 1000 + DYING_BLOCKS);
  const dying = house.log.live().filter((record) => (record.flags & 0x0800) !== 0);
  assert.deepEqual(
    dying.map((record) => record.type),
    [256, 4101, 258],
  );
  assert.equal(house.ingest.removeDying(1071), 0);
  house.clock.advance(15 * DAY_MS);
  assert.equal(house.ingest.prune(), 1, 'pruning leaves dying channels to their deadline');
  assert.equal(house.graph.channelCount, 1);
  assert.equal(house.ingest.removeDying(1072), 1);
  assert.equal(house.graph.channelCount, 0);
  assert.equal(house.log.messages(257).length, 0);
});

test('nothing is removed while the store takes nothing', async () => {
  const house = new House();
  await offerAll(house, first.raw);
  house.clock.advance(15 * DAY_MS);
  house.log.writable = false;
  assert.equal(house.ingest.prune(), 0);
  house.log.writable = true;
  assert.equal(house.ingest.prune(), 1);
});
