import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeChain, House, heldChecker, settled } from '../../test/fixtures/ingest_house.ts';
import {
  flipBit,
  makeChannel,
  makeIdentity,
  makeUpdate,
  NOW_SECONDS,
  type SignedChannel,
} from '../../test/fixtures/signed_gossip.ts';
import { NETWORKS } from '../base/chain_hash.ts';
import { scidFromParts } from '../base/short_channel_id.ts';
import { MAX_HELD_UPDATES } from './update_judge.ts';
import { HELD_EXPIRY_MS } from './waiting_room.ts';

const channel = makeChannel({ seed: 1 });
const DAY = 86_400;

type HeldChecker = ReturnType<typeof heldChecker>;

const houseWithChannel = async (): Promise<House> => {
  const house = new House();
  await house.offer(channel.raw);
  house.takeSeen();
  return house;
};

test('accepted: both directions, each signed by its node; the first gives the announcement its timestamp (B7-29)', async () => {
  const house = await houseWithChannel();
  const first = makeUpdate(channel, { direction: 1, timestamp: NOW_SECONDS - 50 });
  assert.equal(await house.offer(first), 'accept accepted');
  assert.equal(house.log.records[0]?.timestamp, NOW_SECONDS - 50);
  assert.equal(
    await house.offer(makeUpdate(channel, { direction: 0, timestamp: NOW_SECONDS - 10 })),
    'accept accepted',
  );
  assert.equal(house.log.records[0]?.timestamp, NOW_SECONDS - 50, 'once and for all');
  assert.equal(house.graph.halfChannelCount, 2);
  assert.equal(house.log.messages(258).length, 2);
});

test('accepted: a newer update replaces the older one of its direction (B7-36)', async () => {
  const house = await houseWithChannel();
  await house.offer(makeUpdate(channel, { timestamp: NOW_SECONDS - 50 }));
  const newer = makeUpdate(channel, { timestamp: NOW_SECONDS - 49, feeBaseMsat: 5 });
  assert.equal(await house.offer(newer), 'accept accepted');
  assert.deepEqual(house.log.messages(258), [newer]);
  assert.equal(house.graph.feeBaseMsat(0, 0), 5);
});

test('accepted: a tail of unknown fields is signed, checked and kept (B7-49)', async () => {
  const house = await houseWithChannel();
  const odd = makeUpdate(channel, { tail: Uint8Array.of(1, 2, 3) });
  assert.equal(await house.offer(flipBit(odd, odd.length - 1)), 'close bad_signature');
  assert.equal(await house.offer(odd), 'accept accepted');
  assert.deepEqual(house.log.messages(258), [odd]);
});

test('malformed: an update without htlc_maximum_msat is too short (B7-01)', async () => {
  const house = await houseWithChannel();
  assert.equal(await house.offer(makeUpdate(channel).subarray(0, 130)), 'warn malformed');
});

test('unknown_chain: updates of another chain are ignored (B7-32)', async () => {
  const house = await houseWithChannel();
  assert.equal(await house.offer(makeUpdate(channel, { network: NETWORKS.bitcoin })), 'ignore unknown_chain');
});

test('bad_signature: by the other node, by a stranger, or broken; never stored (B7-29)', async () => {
  const house = await houseWithChannel();
  const byOther = makeUpdate(channel, { signer: channel.nodes[1] });
  assert.equal(await house.offer(byOther), 'close bad_signature');
  assert.equal(
    await house.offer(makeUpdate(channel, { signer: makeIdentity('stranger') })),
    'close bad_signature',
  );
  assert.equal(await house.offer(flipBit(makeUpdate(channel), 122)), 'close bad_signature');
  assert.equal(house.log.messages(258).length, 0);
  const checked = house.ingest.signaturesChecked;
  assert.equal(await house.offer(byOther, 2), 'warn recently_refused');
  assert.equal(house.ingest.signaturesChecked, checked);
});

test('dont_forward: never stored, so never relayed (B7-38)', async () => {
  const house = await houseWithChannel();
  assert.equal(await house.offer(makeUpdate(channel, { dontForward: true })), 'ignore dont_forward');
  assert.equal(house.log.messages(258).length, 0);
});

test('zero_timestamp: no update carries timestamp 0 (B7-39)', async () => {
  const house = await houseWithChannel();
  assert.equal(await house.offer(makeUpdate(channel, { timestamp: 0 })), 'warn zero_timestamp');
});

test('too_old, too_far_in_future: two weeks back and one day ahead (B7-35, B7-42)', async () => {
  const house = await houseWithChannel();
  const at = (timestamp: number, direction: 0 | 1): Promise<string> =>
    house.offer(makeUpdate(channel, { timestamp, direction }));
  assert.equal(await at(NOW_SECONDS - 14 * DAY - 1, 0), 'ignore too_old');
  assert.equal(await at(NOW_SECONDS - 14 * DAY, 0), 'accept accepted');
  assert.equal(await at(NOW_SECONDS + DAY + 1, 1), 'ignore too_far_in_future');
  assert.equal(await at(NOW_SECONDS + DAY, 1), 'accept accepted');
});

test('known, stale_timestamp, same_timestamp_other_content: compared with the stored one before any check (B7-33, B7-34)', async () => {
  const house = await houseWithChannel();
  const update = makeUpdate(channel);
  await house.offer(update);
  const checked = house.ingest.signaturesChecked;
  assert.equal(await house.offer(update, 2), 'ignore known');
  assert.equal(
    await house.offer(makeUpdate(channel, { timestamp: NOW_SECONDS - 101 })),
    'ignore stale_timestamp',
  );
  assert.equal(
    await house.offer(makeUpdate(channel, { feeBaseMsat: 7 })),
    'ignore same_timestamp_other_content',
  );
  assert.equal(house.ingest.signaturesChecked, checked);
});

test('already_pending: the same update from others while it is checked', async () => {
  const checker = heldChecker();
  const house = new House({ checker });
  void house.offer(channel.raw);
  await checker.release();
  const update = makeUpdate(channel);
  void house.offer(update, 1);
  assert.equal(await house.offer(update, 2), 'ignore already_pending');
  assert.equal(house.ingest.backlog, 1);
  await checker.release();
  assert.equal(house.ingest.counts().accepted, 2);
});

test('stale_timestamp: of two under check at once the newer wins, whichever is answered first (B7-34)', async () => {
  for (const newerFirst of [true, false]) {
    const checker = heldChecker();
    const house = new House({ checker });
    void house.offer(channel.raw);
    await checker.release();
    house.takeSeen();
    const older = makeUpdate(channel, { timestamp: NOW_SECONDS - 60, feeBaseMsat: 7 });
    const newer = makeUpdate(channel, { timestamp: NOW_SECONDS - 50 });
    void house.offer(newerFirst ? newer : older);
    void house.offer(newerFirst ? older : newer);
    await checker.release();
    const expected = newerFirst
      ? ['accept accepted', 'ignore stale_timestamp']
      : ['accept accepted', 'accept accepted'];
    assert.deepEqual(house.takeSeen(), expected);
    assert.deepEqual(house.log.messages(258), [newer]);
  }
});

test('held_for_channel: an update before its announcement is judged when that is accepted (B7-30)', async () => {
  const house = new House();
  const update = makeUpdate(channel);
  assert.equal(await house.offer(update), 'hold held_for_channel');
  assert.equal(await house.offer(update, 2), 'ignore already_pending');
  assert.equal(house.ingest.signaturesChecked, 0, 'there is no key to check it with');
  house.takeSeen();
  await house.offer(channel.raw);
  assert.deepEqual(house.takeSeen(), ['accept accepted', 'accept accepted']);
  assert.deepEqual(house.log.messages(258), [update]);
  assert.equal(house.ingest.occupancy().held_updates, 0);
  assert.equal(house.clock.pending, 1, 'the timer of the room may still run');
});

test('held_for_channel: both directions wait apart', async () => {
  const house = new House();
  const updates = ([0, 1] as const).map((direction) => makeUpdate(channel, { direction }));
  for (const raw of updates) assert.equal(await house.offer(raw), 'hold held_for_channel');
  await house.offer(channel.raw);
  assert.deepEqual(house.log.messages(258), updates);
});

test('held_for_channel: each direction is checked against its own node of the pending announcement', async () => {
  const checker = heldChecker();
  const house = new House({ checker });
  void house.offer(channel.raw);
  for (const direction of [0, 1] as const) void house.offer(makeUpdate(channel, { direction }));
  await checker.release();
  assert.equal(house.ingest.counts().accepted, 3);
  assert.equal(house.ingest.signaturesChecked, 6, 'none of them needed a second check');
});

test('held_for_channel: a held forgery does not displace the real update (B7-30)', async () => {
  const house = new House();
  const real = makeUpdate(channel, { timestamp: NOW_SECONDS - 60 });
  const forged = makeUpdate(channel, { timestamp: NOW_SECONDS - 5, signer: makeIdentity('forger') });
  await house.offer(real, 1);
  await house.offer(forged, 2);
  house.takeSeen();
  await house.offer(channel.raw, 3);
  assert.deepEqual(house.takeSeen().sort(), ['accept accepted', 'accept accepted', 'close bad_signature']);
  assert.deepEqual(house.log.messages(258), [real]);
});

test('held_for_channel: checked against the pending announcement at once, stored after it', async () => {
  const checker = heldChecker();
  const house = new House({ checker });
  void house.offer(channel.raw, 1);
  const older = makeUpdate(channel, { timestamp: 1_699_990_000, feeBaseMsat: 7 });
  const newer = makeUpdate(channel);
  void house.offer(older, 1);
  void house.offer(newer, 1);
  assert.equal(checker.backlog, 0);
  await settled();
  assert.equal(checker.backlog, 3, 'nothing waits for the announcement');
  house.takeSeen();
  await checker.release();
  assert.deepEqual(house.takeSeen(), ['accept accepted', 'accept accepted', 'accept accepted']);
  assert.deepEqual(house.log.messages(258), [newer]);
});

test('held_for_channel: only the latest of each direction stays with a pending announcement', async () => {
  const chain = new FakeChain();
  chain.isAway = true;
  const house = new House({ utxo: chain });
  await house.offer(channel.raw);
  const [older, newer] = [makeUpdate(channel, { timestamp: 1_699_990_000 }), makeUpdate(channel)];
  assert.equal(await house.offer(older, 1), 'hold held_for_channel');
  assert.equal(await house.offer(older, 2), 'ignore already_pending');
  house.takeSeen();
  assert.equal(await house.offer(newer, 3), 'hold held_for_channel');
  assert.deepEqual(house.takeSeen(), ['ignore stale_timestamp', 'hold held_for_channel']);
  assert.equal(
    await house.offer(makeUpdate(channel, { timestamp: 1_699_980_000 })),
    'ignore stale_timestamp',
  );
  assert.equal(await house.offer(makeUpdate(channel, { direction: 1 })), 'hold held_for_channel');
  chain.isAway = false;
  chain.add(channel);
  house.takeSeen();
  house.clock.advance(1000);
  await settled();
  assert.deepEqual(house.takeSeen(), ['accept accepted', 'accept accepted', 'accept accepted']);
  assert.equal(house.ingest.occupancy().pending_bytes, 0);
});

test('a forged announcement under check does not make the real update bad, nor lose it', async () => {
  const chain = new FakeChain();
  chain.isAway = true;
  const house = new House({ utxo: chain });
  const forged = makeChannel({ seed: 'forger', scid: channel.scid });
  assert.equal(await house.offer(forged.raw, 1), 'hold chain_unavailable');
  const update = makeUpdate(channel);
  assert.equal(await house.offer(update, 2), 'hold held_for_channel', 'it does not fit the forged key');
  assert.equal(await house.offer(makeUpdate(forged, { timestamp: NOW_SECONDS }), 1), 'hold held_for_channel');
  assert.equal(await house.offer(channel.raw, 2), 'hold already_pending');
  chain.isAway = false;
  chain.add(channel);
  house.takeSeen();
  house.clock.advance(1000);
  await settled();
  assert.deepEqual(house.takeSeen(), [
    'warn funding_script_mismatch',
    'ignore unknown_channel',
    'accept accepted',
    'accept accepted',
  ]);
  assert.deepEqual(house.log.messages(256), [channel.raw]);
  assert.deepEqual(house.log.messages(258), [update]);
});

/** The three ways in which a key can be of the past when the check against it is answered. */
const leavings = {
  'a channel that has left': async (house: House, forged: SignedChannel, check: HeldChecker) => {
    void house.offer(forged.raw, 1);
    await check.release();
    void house.offer(makeUpdate(forged), 1);
    await settled();
    forget(house, forged);
  },
  'an announcement whose channel was accepted and has left': async (
    house: House,
    forged: SignedChannel,
    check: HeldChecker,
  ) => {
    void house.offer(forged.raw, 1);
    void house.offer(makeUpdate(forged), 1);
    await check.release(1);
    forget(house, forged);
  },
  'an announcement that was refused': async (house: House, forged: SignedChannel, check: HeldChecker) => {
    void house.offer(flipBit(forged.raw, 2 + 64 * 3 + 40), 1);
    void house.offer(makeUpdate(forged), 1);
    await check.release(1);
  },
};

const forget = (house: House, { scidHi, scidLo }: SignedChannel): void => {
  assert.equal(house.ingest.channelSpent(scidHi, scidLo, 0), true);
  assert.equal(house.ingest.removeDying(72), 1);
  house.clock.advance(2 * 3_600_000);
};

for (const [what, leave] of Object.entries(leavings)) {
  test(`a good signature by the key of ${what} is worth nothing (B7-29)`, async () => {
    const checker = heldChecker();
    const house = new House({ checker });
    const forged = makeChannel({ seed: 'forger', scid: channel.scid });
    await leave(house, forged, checker);
    assert.equal(checker.backlog, 1, 'the check of the update is not answered yet');
    void house.offer(channel.raw, 2);
    await checker.releaseLast();
    assert.equal(house.graph.channelCount, 1, 'another channel has taken the scid');
    house.takeSeen();
    await checker.release();
    assert.deepEqual(house.takeSeen(), [], 'it is judged again');
    await checker.release();
    assert.deepEqual(house.takeSeen(), ['close bad_signature']);
    assert.equal(house.log.messages(258).length, 0);
  });
}

test('channel_dying: ignored for a spent channel unless it says disabled (B7-31)', async () => {
  const house = await houseWithChannel();
  await house.offer(makeUpdate(channel));
  assert.equal(house.ingest.channelSpent(channel.scidHi, channel.scidLo, 500), true);
  const later = { timestamp: NOW_SECONDS - 5 };
  assert.equal(await house.offer(makeUpdate(channel, later)), 'ignore channel_dying');
  assert.equal(await house.offer(makeUpdate(channel, { ...later, isDisabled: true })), 'accept accepted');
});

test('unknown_channel: an update whose announcement does not come leaves after ten minutes (B7-30)', async () => {
  const house = new House();
  await house.offer(makeUpdate(channel));
  house.clock.advance(HELD_EXPIRY_MS - 1);
  house.takeSeen();
  assert.equal(house.ingest.occupancy().held_updates, 1);
  house.clock.advance(1);
  assert.deepEqual(house.takeSeen(), ['ignore unknown_channel']);
  assert.equal(house.ingest.occupancy().held_updates, 0);
  assert.equal(house.clock.pending, 0);
});

test('room_full: an origin fills at most its share of the room, and others still find a place', async () => {
  const house = new House();
  const template = makeUpdate(channel);
  const fill = (origin: number, from: number, count: number): void => {
    for (let index = from; index < from + count; index++) {
      const update = template.slice();
      new DataView(update.buffer).setUint32(98, index);
      house.ingest.offer(update, origin);
    }
  };
  const share = MAX_HELD_UPDATES / 4;
  fill(1, 1, share + 10);
  assert.equal(house.ingest.counts().held_for_channel, share);
  assert.equal(house.ingest.counts().room_full, 10);
  for (const origin of [2, 3, 4]) fill(origin, origin * 100_000, share);
  assert.equal(house.ingest.occupancy().held_updates, MAX_HELD_UPDATES);
  fill(5, 900_000, 5);
  assert.equal(house.ingest.counts().room_full, 15, 'the oldest make room');
  assert.equal(house.ingest.occupancy().held_updates, MAX_HELD_UPDATES);
});

test('budget_exceeded: ten thousand updates for unknown channels in a minute, and the origin is closed', async () => {
  const house = new House();
  const template = makeUpdate(channel);
  for (let index = 1; index <= 10_000; index++) {
    const update = template.slice();
    new DataView(update.buffer).setUint32(98, index);
    house.ingest.offer(update, 1);
  }
  assert.equal(house.ingest.counts().budget_exceeded, 0);
  assert.equal(
    await house.offer(makeUpdate(makeChannel({ seed: 9, scid: scidFromParts(9, 9, 9) })), 1),
    'close budget_exceeded',
  );
  assert.equal(
    await house.offer(channel.raw, 1),
    'ignore budget_exceeded',
    'no more signature checks for it',
  );
  assert.equal(await house.offer(channel.raw, 2), 'accept accepted');
  house.ingest.forgetOrigin(1);
  assert.equal(await house.offer(makeChannel({ seed: 9 }).raw, 1), 'accept accepted');
});
