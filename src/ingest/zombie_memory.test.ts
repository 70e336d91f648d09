import assert from 'node:assert/strict';
import { test } from 'node:test';
import { House, heldChecker, settled } from '../../test/fixtures/ingest_house.ts';
import {
  flipBit,
  makeChannel,
  makeIdentity,
  makeUpdate,
  NOW_SECONDS,
} from '../../test/fixtures/signed_gossip.ts';
import { type LogFields, type LogLevel, recordingLog } from '../base/log.ts';
import { scidFromParts } from '../base/short_channel_id.ts';
import { NEVER_UPDATED_BLOCKS, NEVER_UPDATED_GRACE_SECONDS } from './departures.ts';
import { MAX_PARKED, MAX_PARKED_BYTES, MAX_ZOMBIES, ZombieMemory } from './zombie_memory.ts';

const DAY = 86_400;
const channel = makeChannel({ seed: 1 });
const key = makeIdentity('key').key;

/** A house in which the channel was pruned, side 1 being the only one that was heard in the last two weeks. */
const withZombie = async (options: ConstructorParameters<typeof House>[0] = {}) => {
  const wanted: number[] = [];
  const house = new House({ wanted: (scidHi) => wanted.push(scidHi), ...options });
  await house.offer(channel.raw);
  await house.offer(makeUpdate(channel, { timestamp: NOW_SECONDS }));
  await house.offer(makeUpdate(channel, { direction: 1, timestamp: NOW_SECONDS }));
  house.clock.advance(10 * DAY * 1000);
  await house.offer(makeUpdate(channel, { direction: 1, timestamp: NOW_SECONDS + 10 * DAY }));
  house.clock.advance(5 * DAY * 1000);
  const now = NOW_SECONDS + 15 * DAY;
  assert.equal(house.ingest.prune(), 1);
  assert.equal(house.ingest.isZombie(channel.scidHi, channel.scidLo), true);
  assert.equal(house.ingest.isRefused(channel.scidHi, channel.scidLo), false);
  return { house, now, wanted };
};

test('zombie_channel: a pruned channel is not taken again, nor an update of the side that was not silent (B7-42)', async () => {
  const { house, now, wanted } = await withZombie();
  assert.equal(await house.offer(channel.raw), 'ignore zombie_channel');
  const update = makeUpdate(channel, { direction: 1, timestamp: now });
  assert.equal(await house.offer(update), 'ignore zombie_channel');
  assert.equal(await house.offer(makeUpdate(channel, { timestamp: now - 15 * DAY })), 'ignore too_old');
  assert.deepEqual(wanted, []);
  assert.equal(house.ingest.signaturesChecked, 4 + 3, 'nothing of it was worth a check');
});

test('a fresh update of the silent side ends it: the announcement is asked for, the update waits for it (B7-42)', async () => {
  const { house, now, wanted } = await withZombie();
  const update = makeUpdate(channel, { timestamp: now });
  assert.equal(await house.offer(update), 'hold held_for_channel');
  assert.deepEqual(wanted, [channel.scidHi]);
  assert.equal(house.ingest.isZombie(channel.scidHi, channel.scidLo), false);
  assert.equal(await house.offer(channel.raw), 'accept accepted');
  assert.equal(house.graph.hasUpdate(0, 0), true);
});

test('announcement first, then the proof, as a query is answered: nobody is asked again', async () => {
  const { house, now, wanted } = await withZombie();
  assert.equal(await house.offer(channel.raw), 'ignore zombie_channel');
  house.takeSeen();
  await house.offer(makeUpdate(channel, { timestamp: now }));
  assert.deepEqual(wanted, []);
  await settled();
  assert.equal(house.graph.channelCount, 1);
  assert.equal(house.graph.hasUpdate(0, 0), true);
});

test('bad_signature: a forged update proves nothing', async () => {
  const { house, now } = await withZombie();
  const forged = makeUpdate(channel, { timestamp: now, signer: makeIdentity('mallory') });
  assert.equal(await house.offer(forged), 'close bad_signature');
  assert.equal(await house.offer(forged), 'warn recently_refused');
  assert.equal(house.ingest.isZombie(channel.scidHi, channel.scidLo), true);
});

test('already_pending: the same update from many peers is checked once', async () => {
  const { house, now } = await withZombie();
  const checker = heldChecker();
  const other = new House({ checker, clock: house.clock });
  await other.offer(channel.raw);
  await checker.release();
  other.clock.advance(15 * DAY * 1000);
  assert.equal(other.ingest.prune(), 1);
  const update = makeUpdate(channel, { timestamp: now + 15 * DAY });
  assert.equal(await other.offer(update), 'nothing yet');
  assert.equal(await other.offer(update, 2), 'ignore already_pending');
  await checker.release();
  assert.deepEqual(other.takeSeen().slice(-1), ['hold held_for_channel']);
});

test('what we announce ourselves is never a zombie', async () => {
  const { house } = await withZombie();
  assert.equal(await house.offer(channel.raw, 0), 'accept accepted');
  assert.equal(house.ingest.isZombie(channel.scidHi, channel.scidLo), false);
});

test('prune: by block height, a channel of long ago that never had an update goes after two hours (B7-42)', async () => {
  const before = new House();
  const old = makeChannel({ seed: 2, scid: scidFromParts(100, 1, 0) });
  const young = makeChannel({ seed: 3, scid: scidFromParts(100 + 1, 1, 0) });
  await before.offer(old.raw);
  await before.offer(young.raw);
  let height: number | undefined;
  const lines: { level: LogLevel; message: string; fields?: LogFields }[] = [];
  const house = new House({
    ...{ graph: before.replayed(), store: before.log, logTo: recordingLog(lines) },
    blockHeight: () => height,
  });
  assert.equal(house.ingest.prune(), 0);
  house.clock.advance(NEVER_UPDATED_GRACE_SECONDS * 1000);
  assert.equal(house.ingest.prune(), 0, 'without a height only time tells');
  height = 100 + NEVER_UPDATED_BLOCKS;
  assert.equal(house.ingest.prune(), 0);
  height++;
  assert.equal(house.ingest.prune(), 1);
  assert.equal(house.graph.channelIndex(old.scidHi, old.scidLo), -1);
  assert.equal(house.meter.get('gossipd_channels_removed_total', 'never_updated'), 1);
  assert.deepEqual(
    lines.map(({ level, fields }) => [level, fields]),
    [
      ['debug', { scid: '100x1x0', reason: 'never_updated' }],
      ['info', { channels: 1, never_updated: 1 }],
    ],
  );
});

test('prune: the reason tells how many sides were silent', async () => {
  const house = new House();
  const one = makeChannel({ seed: 4 });
  await house.offer(channel.raw);
  await house.offer(one.raw);
  await house.offer(makeUpdate(channel, { timestamp: NOW_SECONDS }));
  await house.offer(makeUpdate(one, { timestamp: NOW_SECONDS }));
  await house.offer(makeUpdate(one, { direction: 1, timestamp: NOW_SECONDS + DAY }));
  house.clock.advance((14 * DAY + 1) * 1000);
  assert.equal(house.ingest.prune(), 2);
  assert.equal(
    house.meter.get('gossipd_channels_removed_total', 'both_sides_silent'),
    1,
    'who never spoke, too',
  );
  assert.equal(house.meter.get('gossipd_channels_removed_total', 'one_side_silent'), 1);
});

test('MAX_ZOMBIES: the older half is forgotten', () => {
  assert.ok(MAX_ZOMBIES % 2 === 0);
  const zombies = new ZombieMemory(100);
  for (let index = 0; index < 1000; index++) {
    zombies.remember(index, 0, key, key, 3);
    assert.ok(zombies.size <= 100);
  }
  assert.equal(zombies.find(999, 0)?.silent, 3);
  assert.equal(zombies.find(800, 0), undefined);
});

test('MAX_PARKED, MAX_PARKED_BYTES: the oldest announcement goes', () => {
  const zombies = new ZombieMemory();
  for (let index = 0; index < MAX_PARKED + 10; index++) zombies.park(index, 0, new Uint8Array(10), 1);
  assert.equal(zombies.parked, MAX_PARKED);
  assert.equal(zombies.forget(0, 0), undefined);
  assert.equal(zombies.forget(MAX_PARKED, 0)?.origin, 1);
  zombies.park(7, 7, new Uint8Array(MAX_PARKED_BYTES), 2);
  assert.equal(zombies.parked, 1);
  zombies.park(7, 7, flipBit(new Uint8Array(10), 0), 3);
  assert.equal(zombies.parked, 1);
  assert.equal(zombies.forget(7, 7)?.origin, 3);
});
