import assert from 'node:assert/strict';
import { test } from 'node:test';
import { House, heldChecker } from '../../test/fixtures/ingest_house.ts';
import {
  flipBit,
  makeChannel,
  makeIdentity,
  makeNode,
  makeUpdate,
  NOW_SECONDS,
} from '../../test/fixtures/signed_gossip.ts';
import { ManualClock } from '../base/time.ts';
import { ContentRepeats, MAX_REPEAT_KEYS, REPEAT_SECONDS, saysTheSame } from './content_repeats.ts';

const channel = makeChannel({ seed: 1 });
const [node] = channel.nodes;
const HOUR = 3600;

const update = (timestamp: number, isDisabled = false): Uint8Array =>
  makeUpdate(channel, { timestamp: NOW_SECONDS + timestamp, isDisabled });

const houseWith = async (...messages: readonly Uint8Array[]): Promise<House> => {
  const house = new House();
  for (const raw of [channel.raw, ...messages]) assert.equal(await house.offer(raw), 'accept accepted');
  house.takeSeen();
  return house;
};

test('content_repeat: the same terms again within a day are left out, and cost one check for all peers (B7-40)', async () => {
  const house = await houseWith(update(0));
  assert.equal(await house.offer(update(60), 1), 'ignore content_repeat');
  const checked = house.ingest.signaturesChecked;
  assert.equal(await house.offer(update(60), 2), 'ignore content_repeat');
  assert.equal(house.ingest.signaturesChecked, checked);
  assert.deepEqual(house.log.messages(258), [update(0)]);
  assert.equal(house.ingest.manners().repeats_ignored, 1);
  assert.equal(house.meter.get('gossipd_content_repeats_total', 'ignored'), 1);
  assert.equal(house.ingest.lintCounts().redundant, 1);
  assert.equal(
    await house.offer(makeUpdate(channel, { feeBaseMsat: 5, timestamp: NOW_SECONDS + 61 })),
    'accept accepted',
  );
});

test('a repeat of what is a day old keeps the channel alive: stored, to be relayed, and counted (B7-12, B7-36, R-01)', async () => {
  const house = await houseWith(update(0), makeNode(node, { timestamp: NOW_SECONDS }));
  house.clock.advance((REPEAT_SECONDS - 1) * 1000);
  const early = REPEAT_SECONDS - 1;
  assert.equal(await house.offer(update(early)), 'ignore content_repeat');
  assert.equal(
    await house.offer(makeNode(node, { timestamp: NOW_SECONDS + early })),
    'ignore content_repeat',
  );
  house.clock.advance(1000);
  assert.equal(
    await house.offer(update(early), 2),
    'accept accepted',
    'the one that was too early is good now',
  );
  assert.equal(await house.offer(makeNode(node, { timestamp: NOW_SECONDS + early }), 2), 'accept accepted');
  assert.deepEqual(house.log.messages(258), [update(early)]);
  assert.equal(house.ingest.manners().repeats_refreshed, 2);
  assert.equal(house.meter.get('gossipd_content_repeats_total', 'refreshed'), 2);
});

test('a channel that is refreshed every 23 hours, or every 13 days, is never pruned (B7-42)', async () => {
  for (const every of [23 * HOUR, 13 * 24 * HOUR]) {
    const house = await houseWith(update(0));
    for (let now = every; now < 60 * 24 * HOUR; now += every) {
      house.clock.advance(every * 1000);
      await house.offer(update(now));
      assert.equal(house.ingest.prune(), 0);
    }
    assert.equal(house.graph.channelCount, 1);
  }
});

test('stale_timestamp: what comes late and was said before a repeat that was left out (B7-34)', async () => {
  const house = await houseWith(update(0));
  // Said: enabled at 0, disabled at 60, enabled again at 120; the last two arrive in the other order.
  assert.equal(await house.offer(update(120)), 'ignore content_repeat');
  assert.equal(await house.offer(update(60, true)), 'ignore stale_timestamp');
  assert.equal(house.graph.isDisabled(0, 0), false);
  assert.equal(await house.offer(update(180, true)), 'accept accepted');
  assert.equal(await house.offer(update(240)), 'accept accepted', 'a change is no repeat');
});

test('stale_timestamp: the same when both were under check at once (B7-34)', async () => {
  const checker = heldChecker();
  const house = new House({ checker });
  for (const raw of [channel.raw, update(0)]) {
    void house.offer(raw);
    await checker.release();
  }
  house.takeSeen();
  void house.offer(update(60, true), 1);
  void house.offer(update(120), 2);
  void house.offer(update(120), 3);
  await checker.releaseLast();
  await checker.release();
  assert.deepEqual(house.takeSeen(), [
    'ignore already_pending',
    'ignore content_repeat',
    'ignore stale_timestamp',
  ]);
  assert.equal(house.graph.isDisabled(0, 0), false);
});

test('bad_signature: a forged repeat silences nobody', async () => {
  const house = await houseWith(update(0));
  const forged = makeUpdate(channel, { timestamp: NOW_SECONDS + 900, signer: makeIdentity('forger') });
  assert.equal(await house.offer(forged, 6), 'close bad_signature');
  assert.equal(await house.offer(update(60, true)), 'accept accepted');
});

test('what a repeat said is nothing to others that announce the channel anew', async () => {
  const house = await houseWith(update(0));
  assert.equal(await house.offer(update(HOUR)), 'ignore content_repeat');
  const { graph, log, ingest } = house;
  graph.relocate(log.lose(graph.channelOffset(0), graph.updateOffset(0, 0)));
  ingest.channelsLost();
  const next = makeChannel({ seed: 'next', scid: channel.scid });
  assert.equal(await house.offer(next.raw), 'accept accepted');
  assert.equal(await house.offer(makeUpdate(next, { timestamp: NOW_SECONDS + 10 })), 'accept accepted');
  assert.equal(
    await house.offer(makeUpdate(next, { timestamp: NOW_SECONDS + 20, feeBaseMsat: 3 })),
    'accept accepted',
  );
});

test('a repeat that was left out comes in when the stored update is lost', async () => {
  const house = await houseWith(update(0));
  assert.equal(await house.offer(update(60)), 'ignore content_repeat');
  house.graph.relocate(house.log.lose(house.graph.updateOffset(0, 0)));
  assert.equal(await house.offer(update(60)), 'accept accepted');
});

test('content_repeat: a node_announcement that differs in timestamp and signature alone', async () => {
  const say = (timestamp: number, alias = 'node'): Uint8Array =>
    makeNode(node, { timestamp: NOW_SECONDS + timestamp, alias, tail: Uint8Array.of(9) });
  const house = await houseWith(say(0));
  assert.equal(await house.offer(say(50)), 'ignore content_repeat');
  const checked = house.ingest.signaturesChecked;
  assert.equal(await house.offer(say(50), 2), 'ignore content_repeat');
  assert.equal(await house.offer(say(40, 'late'), 2), 'ignore stale_timestamp');
  assert.equal(house.ingest.signaturesChecked, checked);
  assert.equal(await house.offer(say(60, 'other')), 'accept accepted');
  assert.equal(await house.offer(flipBit(say(70, 'other'), 120)), 'close bad_signature');
});

test('two node_announcements say the same only if every byte but signature and timestamp is equal', () => {
  const one = makeNode(node, { features: Uint8Array.of(1, 2), tail: Uint8Array.of(3) });
  const again = makeNode(node, { features: Uint8Array.of(1, 2), tail: Uint8Array.of(3), timestamp: 77 });
  assert.equal(saysTheSame(one, again), true);
  for (let at = 66; at < one.length; at++) {
    const isTimestamp = at >= 70 && at < 74;
    // The length of the features is a place of its own: a changed one moves the fields.
    assert.equal(saysTheSame(flipBit(one, at), again), isTimestamp, `byte ${at}`);
  }
  assert.equal(saysTheSame(one, one.subarray(0, one.length - 1)), false);
});

test('content_repeat: our own messages are not asked for manners', async () => {
  const house = await houseWith(update(0));
  assert.equal(await house.offer(update(60), 0), 'accept accepted');
});

test('the memory of repeats is bounded, and forgets what is older than a day', () => {
  const clock = new ManualClock();
  const repeats = new ContentRepeats(clock);
  repeats.leftOut(1, 1, NOW_SECONDS);
  assert.equal(repeats.latest(1, 1), NOW_SECONDS);
  repeats.leftOut(1, 1, NOW_SECONDS - 50);
  assert.equal(repeats.latest(1, 1), NOW_SECONDS, 'the latest counts');
  for (let key = 2; key <= MAX_REPEAT_KEYS + 1; key++) repeats.leftOut(key, key, NOW_SECONDS);
  assert.equal(repeats.turnovers, 1);
  assert.equal(repeats.latest(MAX_REPEAT_KEYS + 1, MAX_REPEAT_KEYS + 1), NOW_SECONDS);
  clock.advance((REPEAT_SECONDS + 1) * 1000);
  assert.equal(repeats.latest(MAX_REPEAT_KEYS + 1, MAX_REPEAT_KEYS + 1), 0);
});
