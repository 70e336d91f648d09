import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeChain, House, heldChecker, muteChecker, settled } from '../../test/fixtures/ingest_house.ts';
import { makeChannel, makeNode, makeUpdate } from '../../test/fixtures/signed_gossip.ts';
import { scidFromParts } from '../base/short_channel_id.ts';
import { MAX_BACKLOG_MESSAGES } from './desk.ts';
import { MAX_PENDING_ANNOUNCEMENTS, MAX_PENDING_BYTES } from './pending_channels.ts';
import { REASON_CODES } from './verdict.ts';

const channel = makeChannel({ seed: 1 });

/** Announcements that differ in their scid alone: good enough to be under check, and cheap to make. */
const unsigned = (count: number, tailBytes = 0): Uint8Array[] =>
  Array.from({ length: count }, (_, index) => {
    const raw = new Uint8Array(channel.raw.length + tailBytes);
    raw.set(channel.raw);
    new DataView(raw.buffer).setUint32(292, index + 1);
    return raw;
  });

test('overloaded: while the store takes nothing, offers are refused, and everything else goes on', async () => {
  const house = new House();
  house.log.writable = false;
  assert.equal(await house.offer(channel.raw), 'ignore overloaded');
  assert.equal(await house.offer(makeUpdate(channel)), 'hold held_for_channel');
  assert.equal(house.ingest.signaturesChecked, 0, 'no check whose result could not be kept');
  house.log.writable = true;
  assert.equal(await house.offer(channel.raw), 'accept accepted');
  assert.equal(house.log.messages(258).length, 1);
  house.log.writable = false;
  assert.equal(await house.offer(makeUpdate(channel, { direction: 1 })), 'ignore overloaded');
  assert.equal(await house.offer(makeNode(channel.nodes[0])), 'ignore overloaded');
  assert.equal(house.ingest.counts().overloaded, 3);
  assert.equal(house.ingest.signaturesChecked, 5);
});

test('overloaded: a store that fails in the middle loses that message only', async () => {
  for (const failure of ['by_error', 'by_refusal'] as const) {
    const house = new House();
    house.log.failsNext = failure;
    assert.equal(await house.offer(channel.raw), 'ignore overloaded');
    assert.equal(house.graph.channelCount, 0);
    assert.equal(house.ingest.occupancy().pending_announcements, 0);
    assert.equal(await house.offer(channel.raw), 'accept accepted');
    house.log.failsNext = failure;
    assert.equal(await house.offer(makeUpdate(channel)), 'ignore overloaded');
    assert.equal(await house.offer(makeUpdate(channel)), 'accept accepted');
    house.log.failsNext = failure;
    assert.equal(await house.offer(makeNode(channel.nodes[0])), 'ignore overloaded');
    house.log.failsNext = failure;
    assert.equal(house.ingest.channelSpent(channel.scidHi, channel.scidLo, 5), false);
    assert.equal(house.graph.dyingCount, 0);
  }
});

test('room_full: pending announcements are bounded in number', async () => {
  const house = new House({ checker: muteChecker });
  for (const raw of unsigned(MAX_PENDING_ANNOUNCEMENTS)) house.ingest.offer(raw, 1);
  assert.equal(house.ingest.backlog, MAX_PENDING_ANNOUNCEMENTS);
  assert.equal(
    await house.offer(makeChannel({ seed: 2, scid: scidFromParts(1, 2, 3) }).raw, 2),
    'ignore room_full',
  );
  assert.equal(house.ingest.occupancy().pending_announcements, MAX_PENDING_ANNOUNCEMENTS);
});

test('room_full: pending announcements are bounded in bytes', () => {
  const house = new House({ checker: muteChecker });
  for (const raw of unsigned(600, 65_000)) house.ingest.offer(raw, 1);
  const { pending_bytes, pending_announcements } = house.ingest.occupancy();
  assert.ok(pending_bytes <= MAX_PENDING_BYTES);
  assert.equal(pending_announcements, Math.floor(MAX_PENDING_BYTES / 65_432));
  assert.equal(house.ingest.counts().room_full, 600 - pending_announcements);
});

test('overloaded: the messages under check are bounded', async () => {
  const before = new House();
  await before.offer(channel.raw);
  const house = new House({ checker: muteChecker, graph: before.graph });
  const template = makeUpdate(channel);
  for (let index = 0; index < MAX_BACKLOG_MESSAGES + 5; index++) {
    const update = template.slice();
    new DataView(update.buffer).setUint32(2, index);
    house.ingest.offer(update, 0);
  }
  assert.equal(house.ingest.backlog, MAX_BACKLOG_MESSAGES);
  assert.equal(house.ingest.counts().overloaded, 5);
});

test('the updates of many pending announcements stay within the same bytes', async () => {
  const chain = new FakeChain();
  chain.isAway = true;
  const house = new House({ utxo: chain });
  for (let index = 1; index <= 300; index++) {
    const big = makeChannel({ seed: 1, scid: scidFromParts(1, index, 0) });
    house.ingest.offer(big.raw, 0);
    for (const direction of [0, 1] as const) {
      house.ingest.offer(makeUpdate(big, { direction, tail: new Uint8Array(65_000) }), 0);
    }
  }
  await settled();
  assert.ok(house.ingest.occupancy().pending_bytes <= MAX_PENDING_BYTES);
  assert.ok(house.ingest.counts().room_full > 0);
});

test('budget_exceeded: ten thousand broken messages in a minute, and the origin is closed; good gossip is free', async () => {
  const house = new House();
  for (let count = 0; count < 10_000; count++) house.ingest.offer(Uint8Array.of(1, 0, 0), 1);
  assert.equal(house.ingest.counts().malformed, 10_000);
  assert.equal(await house.offer(Uint8Array.of(1, 0, 0), 1), 'close budget_exceeded');
  for (let count = 0; count < 20_000; count++) house.ingest.offer(channel.raw, 2);
  await settled();
  assert.equal(await house.offer(channel.raw, 2), 'ignore known');
  assert.equal(house.ingest.counts().budget_exceeded, 1);
});

test('every verdict is counted under its reason, and done is called once for each offer', async () => {
  const house = new House();
  const spelled: string[] = [];
  const messages = [
    makeUpdate(channel),
    channel.raw,
    channel.raw,
    makeNode(channel.nodes[0]),
    Uint8Array.of(1, 1),
  ];
  for (const raw of messages) house.ingest.offer(raw, 1, (verdict) => spelled.push(verdict.reason));
  await settled();
  assert.deepEqual(spelled.sort(), [
    'accepted',
    'accepted',
    'already_pending',
    'held_for_channel',
    'malformed',
  ]);
  const counts = house.ingest.counts();
  assert.deepEqual(Object.keys(counts).sort(), [...REASON_CODES].sort());
  assert.equal(counts.accepted, 3, 'the held update has been accepted since');
  assert.equal(
    Object.values(counts).reduce((sum, count) => sum + count, 0),
    house.seen.length,
  );
});

test('a listener that offers again from inside a verdict is served', async () => {
  const house = new House();
  const update = makeUpdate(channel);
  let offered = false;
  house.ingest.onVerdict = (verdict) => {
    if (verdict.action !== 'accept' || offered) return;
    offered = true;
    house.ingest.offer(update, 1);
  };
  await house.offer(channel.raw);
  assert.deepEqual(house.log.messages(258), [update]);
});

test('close: timers and lookups end, and later answers and offers are dropped', async () => {
  const chain = new FakeChain();
  chain.isMute = true;
  const checker = heldChecker();
  const house = new House({ utxo: chain, checker, blockHeight: () => 100 });
  void house.offer(makeChannel({ seed: 5, scid: scidFromParts(5, 5, 5) }).raw);
  void house.offer(makeChannel({ seed: 6, scid: scidFromParts(99, 5, 5) }).raw);
  await checker.release();
  await house.offer(makeUpdate(channel));
  void house.offer(channel.raw);
  await settled();
  assert.ok(house.clock.pending > 0);
  house.ingest.close();
  assert.equal(chain.aborted, 1);
  assert.equal(house.clock.pending, 0);
  house.takeSeen();
  await checker.release();
  assert.equal(await house.offer(channel.raw), 'nothing yet');
  assert.deepEqual(house.takeSeen(), []);
  assert.equal(house.ingest.prune(), 0);
});
