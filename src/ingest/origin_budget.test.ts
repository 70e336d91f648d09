import assert from 'node:assert/strict';
import { test } from 'node:test';
import { credulousChecker, House, settled } from '../../test/fixtures/ingest_house.ts';
import {
  makeChannel,
  makeIdentity,
  makeNode,
  makeUpdate,
  NOW_SECONDS,
  type SignedChannel,
} from '../../test/fixtures/signed_gossip.ts';
import { own, writeU32 } from '../base/bytes.ts';
import { type Rng, seededRng } from '../base/rng.ts';
import { scidFromParts } from '../base/short_channel_id.ts';
import { ManualClock, nowSeconds } from '../base/time.ts';
import { channelUpdateChecksum } from '../wire/channel_update.ts';
import { nodeAnnouncementNodeIdAt } from '../wire/node_announcement.ts';
import { MAX_ORIGIN_KEYS, NODE_PACE, OriginBudget, UPDATE_PACE } from './origin_budget.ts';
import { MAX_OVER_BUDGET_BYTES, MAX_OVER_BUDGET_MESSAGES, OverBudgetRoom } from './over_budget_room.ts';

const channel = makeChannel({ seed: 1 });
const INTERVAL_MS = UPDATE_PACE.intervalSeconds * 1000;

/** The nth update of a channel, each with terms of its own. */
const nth = (number: number, more: { isDisabled?: boolean; direction?: 0 | 1; of?: SignedChannel } = {}) =>
  makeUpdate(more.of ?? channel, { timestamp: NOW_SECONDS + number, feeBaseMsat: number, ...more });

/** With a channel that has used up its burst: update 0 is free, 1 to 10 have cost a token each. */
const spentHouse = async (): Promise<House> => {
  const house = new House();
  await house.offer(channel.raw);
  for (let number = 0; number <= UPDATE_PACE.burst; number++) {
    assert.equal(await house.offer(nth(number)), 'accept accepted');
  }
  house.takeSeen();
  return house;
};

test('a budget is ten at once, then one for each interval, and saves up no more than ten', () => {
  const clock = new ManualClock();
  const budget = new OriginBudget(clock, UPDATE_PACE);
  for (let round = 0; round < 2; round++) {
    for (let count = 0; count < 10; count++) {
      assert.equal(budget.waitMs(1, 2), 0);
      budget.spend(1, 2);
    }
    assert.equal(budget.waitMs(1, 2), INTERVAL_MS);
    assert.equal(budget.waitMs(2, 1), 0, 'others are not affected');
    clock.advance(INTERVAL_MS);
    assert.equal(budget.waitMs(1, 2), 0);
    budget.spend(1, 2);
    assert.equal(budget.waitMs(1, 2), INTERVAL_MS);
    clock.advance(86_400_000);
  }
});

test('the table of budgets is bounded: full buckets leave, and when none is full all start afresh', () => {
  const clock = new ManualClock();
  const budget = new OriginBudget(clock, UPDATE_PACE);
  for (let key = 1; key <= MAX_ORIGIN_KEYS / 2; key++) budget.spend(key, key);
  clock.advance(INTERVAL_MS);
  for (let key = 1; key <= MAX_ORIGIN_KEYS / 2; key++) budget.spend(key, key + 1);
  assert.equal(budget.turnovers, 0, 'the first half is full again');
  for (let key = 1; key <= MAX_ORIGIN_KEYS; key++) budget.spend(key, key + 2);
  assert.equal(budget.turnovers, 1);
  assert.ok(budget.keys <= MAX_ORIGIN_KEYS);
});

test('origin_budget: the newest update beyond the budget waits for the next token; those before it are left out', async () => {
  const house = await spentHouse();
  assert.equal(await house.offer(nth(11)), 'hold origin_budget');
  assert.equal(await house.offer(nth(11), 2), 'ignore already_pending', 'other peers bring it too');
  assert.equal(await house.offer(nth(13, { isDisabled: true }), 2), 'hold origin_budget');
  assert.equal(await house.offer(nth(12), 3), 'ignore stale_timestamp');
  assert.deepEqual(house.takeSeen(), [
    'hold origin_budget',
    'ignore already_pending',
    'ignore origin_budget',
    'hold origin_budget',
    'ignore stale_timestamp',
  ]);
  assert.equal(house.ingest.manners().over_budget_waiting, 1);
  house.clock.advance(INTERVAL_MS - 1);
  assert.deepEqual(house.takeSeen(), []);
  house.clock.advance(1);
  assert.deepEqual(house.takeSeen(), ['accept accepted']);
  assert.deepEqual(house.log.messages(258), [nth(13, { isDisabled: true })]);
  assert.equal(house.graph.isDisabled(0, 0), true);
  assert.equal(house.ingest.manners().over_budget_waiting, 0);
  assert.equal(house.clock.pending, 0);
});

test('origin_budget: each direction has its own, and each channel', async () => {
  const house = await spentHouse();
  assert.equal(await house.offer(nth(1, { direction: 1 })), 'accept accepted');
  const other = makeChannel({ seed: 2 });
  await house.offer(other.raw);
  assert.equal(await house.offer(nth(1, { of: other })), 'accept accepted');
  assert.equal(await house.offer(nth(11)), 'hold origin_budget');
});

test('origin_budget: forged updates spend nothing of it', async () => {
  const house = new House();
  await house.offer(channel.raw);
  await house.offer(nth(0));
  const forger = makeIdentity('forger');
  for (let number = 1; number <= 20; number++) {
    const forged = makeUpdate(channel, { timestamp: NOW_SECONDS + number, signer: forger });
    assert.equal(await house.offer(forged, 6), 'close bad_signature');
  }
  for (let number = 1; number <= 10; number++) {
    assert.equal(await house.offer(nth(number)), 'accept accepted');
  }
});

test('origin_budget: it does not hold for ourselves', async () => {
  const house = await spentHouse();
  for (let number = 11; number < 40; number++) {
    assert.equal(await house.offer(nth(number), 0), 'accept accepted');
  }
});

test('origin_budget: a first sync from ten peers with a different state each is not slowed', async () => {
  const house = new House();
  for (let peer = 1; peer <= 10; peer++) {
    assert.equal(await house.offer(channel.raw, peer), peer === 1 ? 'accept accepted' : 'ignore known');
    for (const direction of [0, 1] as const) {
      assert.equal(await house.offer(nth(peer, { direction }), peer), 'accept accepted');
    }
    assert.equal(
      await house.offer(
        makeNode(channel.nodes[0], { timestamp: NOW_SECONDS + peer, alias: `${peer}` }),
        peer,
      ),
      'accept accepted',
    );
  }
  assert.equal(house.ingest.counts().origin_budget, 0);
});

test('origin_budget: what waits goes with its channel, and is nothing to the next owner of the scid', async () => {
  const house = await spentHouse();
  await house.offer(nth(11));
  assert.equal(house.ingest.channelSpent(channel.scidHi, channel.scidLo, 0), true);
  assert.equal(house.ingest.removeDying(72), 1);
  house.takeSeen();
  house.clock.advance(INTERVAL_MS);
  assert.deepEqual(house.takeSeen(), ['ignore unknown_channel']);

  const again = await spentHouse();
  await again.offer(nth(11));
  // Damage takes the channel away, and another one comes in its place.
  const { graph, log, ingest } = again;
  graph.relocate(log.lose(graph.channelOffset(0), graph.updateOffset(0, 0)));
  ingest.channelsLost();
  const next = makeChannel({ seed: 'next', scid: channel.scid });
  again.takeSeen();
  assert.equal(await again.offer(next.raw), 'accept accepted');
  assert.deepEqual(again.takeSeen(), ['accept accepted', 'ignore unknown_channel']);
  assert.equal(await again.offer(nth(1, { of: next })), 'accept accepted');
  assert.equal(again.clock.pending, 1, 'the timer may still run');
  again.clock.advance(INTERVAL_MS);
  assert.deepEqual(again.takeSeen(), ['accept accepted']);
});

test('origin_budget: whoever waits, waits on while the store takes nothing', async () => {
  const house = await spentHouse();
  await house.offer(nth(11));
  house.log.writable = false;
  house.takeSeen();
  house.clock.advance(INTERVAL_MS + 3_600_000);
  assert.deepEqual(house.takeSeen(), []);
  house.log.writable = true;
  house.clock.advance(60_000);
  assert.deepEqual(house.takeSeen(), ['accept accepted']);
  assert.deepEqual(house.log.messages(258), [nth(11)]);
  house.ingest.close();
  assert.equal(house.clock.pending, 0);
});

test('origin_budget: what waits does not outlive ingest', async () => {
  const house = await spentHouse();
  await house.offer(nth(11));
  assert.equal(house.clock.pending, 1);
  house.ingest.close();
  assert.equal(house.clock.pending, 0);
});

test('origin_budget: a node has ten announcements at once, then one in half an hour', async () => {
  const house = new House();
  await house.offer(channel.raw);
  const [node] = channel.nodes;
  const say = (number: number): Uint8Array =>
    makeNode(node, { timestamp: NOW_SECONDS + number, alias: `name ${number}` });
  for (let number = 0; number <= 10; number++) {
    assert.equal(await house.offer(say(number)), 'accept accepted');
  }
  assert.equal(await house.offer(say(11)), 'hold origin_budget');
  assert.equal(await house.offer(say(12)), 'hold origin_budget');
  house.takeSeen();
  house.clock.advance(NODE_PACE.intervalSeconds * 1000);
  assert.deepEqual(house.takeSeen(), ['accept accepted']);
  assert.deepEqual(house.log.messages(257), [say(12)]);
});

test('the room of messages beyond the budget is bounded in number and in bytes, and everybody leaves in time', () => {
  const clock = new ManualClock();
  const left: number[] = [];
  const room = new OverBudgetRoom(clock, ({ timestamp }) => left.push(timestamp));
  const raw = new Uint8Array(100);
  const put = (key: number, bytes = raw): boolean =>
    room.put(key, key, { raw: bytes, origin: 1, timestamp: key, dueMs: 1000 + (key % 3) });
  for (let key = 1; key <= MAX_OVER_BUDGET_MESSAGES; key++) assert.equal(put(key), true);
  assert.equal(put(0), false);
  assert.notEqual(room.take(5, 5), undefined);
  assert.equal(put(0), true);
  clock.advance(1000);
  assert.ok(left.length > 0 && left.every((key) => key % 3 === 0));
  clock.advance(2);
  assert.equal(left.length, MAX_OVER_BUDGET_MESSAGES);
  assert.equal(room.bytes, 0);
  assert.equal(clock.pending, 0);

  const large = new Uint8Array(65_000);
  let kept = 0;
  while (put(kept, large)) kept++;
  assert.equal(kept, Math.floor(MAX_OVER_BUDGET_BYTES / large.length));
  room.close();
  assert.equal(clock.pending, 0);
});

interface Speaker {
  /** Its message with room for a timestamp and a number. */
  readonly template: Uint8Array;
  readonly timestampAt: number;
  /** u32 that makes the content differ. */
  readonly numberAt: number;
  readonly perDay: number;
  said: number;
  stored: number;
  last: Uint8Array;
}

/** How often each of `count` speaks: few talk for all, as the public network's figures have it. */
const rates = (rng: Rng, count: number, loud: number, loudest: number): number[] =>
  Array.from({ length: count }, (_, index) =>
    index < loud ? 145 + (loudest - 145) * (index / Math.max(1, loud - 1)) ** 3 : 1 + rng.fraction() * 9,
  );

test('a day of the network at a fortieth of its size: the loud are slowed, nobody else is, and the end is right (seed 7)', async () => {
  const rng = seededRng(7);
  const house = new House({ checker: credulousChecker });
  const speakers: Speaker[] = [];
  const nodes = Array.from({ length: 140 }, (_, index) => makeIdentity(index));
  const base = makeChannel({ seed: 1, nodes: [nodes[0]!, nodes[1]!] });
  const updateRates = rates(rng, 1090, 5, 1236);
  const nodeRates = rates(rng, nodes.length, 4, 900);
  for (const [index, perDay] of updateRates.entries()) {
    const scid = scidFromParts(1, index + 1, 0);
    const raw = own(base.raw);
    writeU32(raw, 292, Number(scid >> 32n));
    writeU32(raw, 296, Number(scid & 0xffffffffn));
    const pair = [nodes[index % 140]!.key, nodes[(index + 1) % 140]!.key].sort(Buffer.compare);
    for (const [side, key] of pair.entries()) raw.set(key, 300 + 33 * side);
    house.ingest.offer(raw, 1);
    const template = makeUpdate({ ...base, scid });
    speakers.push({ template, timestampAt: 106, numberAt: 122, perDay, said: 0, stored: 0, last: template });
  }
  for (const [index, perDay] of nodeRates.entries()) {
    const template = makeNode(nodes[index]!);
    const timestampAt = nodeAnnouncementNodeIdAt(template, 0) - 4;
    const numberAt = nodeAnnouncementNodeIdAt(template, 0) + 36;
    speakers.push({ template, timestampAt, numberAt, perDay, said: 0, stored: 0, last: template });
  }
  await settled();
  assert.equal(house.ingest.counts().accepted, 1090);
  const keyOf = (raw: Uint8Array): string =>
    raw[1] === 2
      ? Buffer.from(raw.subarray(98, 106)).toString('hex')
      : Buffer.from(raw.subarray(72, 105)).toString('hex');
  const byKey = new Map(speakers.map((speaker) => [keyOf(speaker.template), speaker]));
  house.ingest.onVerdict = ({ action }, raw) => {
    if (action === 'accept') byKey.get(keyOf(raw))!.stored++;
  };

  let offered = 0;
  for (let minute = 0; minute < 1440; minute++) {
    for (const speaker of speakers) {
      if (rng.fraction() >= speaker.perDay / 1440) continue;
      const raw = own(speaker.template);
      writeU32(raw, speaker.timestampAt, nowSeconds(house.clock));
      // Some go back to what they said two messages ago.
      writeU32(raw, speaker.numberAt, rng.fraction() < 0.5 ? ++speaker.said : speaker.said);
      speaker.last = raw;
      offered++;
      house.ingest.offer(raw, 1 + Math.floor(rng.fraction() * 10));
      house.ingest.offer(raw, 1 + Math.floor(rng.fraction() * 10));
    }
    await settled();
    house.clock.advance(60_000);
  }
  house.clock.advance(NODE_PACE.intervalSeconds * 1000);

  const stored = speakers.reduce((total, speaker) => total + speaker.stored, 0);
  assert.ok(offered > 6000, `${offered} offered`);
  assert.ok(stored < offered * 0.6, `${stored} of ${offered} stored`);
  for (const [index, speaker] of speakers.entries()) {
    const { last, perDay } = speaker;
    const isUpdate = index < 1090;
    assert.ok(
      speaker.stored <= (isUpdate ? 1 + 10 + 288 : 1 + 10 + 48 + 1),
      `${speaker.stored} of ${perDay}`,
    );
    if (last === speaker.template) continue;
    if (isUpdate) {
      const channelIndex = house.graph.channelIndex(1 << 8, (index + 1) << 16);
      assert.equal(house.graph.updateChecksum(channelIndex, 0), channelUpdateChecksum(last, 0, last.length));
    } else {
      const offset = house.graph.nodeOffset(house.graph.nodeIndex(nodes[index - 1090]!.key, 0));
      const kept = house.log.readMessage(offset)!;
      assert.deepEqual(kept.subarray(speaker.numberAt), last.subarray(speaker.numberAt));
    }
  }
  assert.ok(house.ingest.counts().origin_budget > 0);
  assert.equal(house.ingest.manners().over_budget_waiting, 0);
});

test('origin_budget: whoever speaks fifty times in a day, by chance, is never held back (seed 11)', () => {
  const rng = seededRng(11);
  const clock = new ManualClock();
  const budget = new OriginBudget(clock, UPDATE_PACE);
  for (let minute = 0; minute < 1440; minute++) {
    for (let key = 1; key <= 2000; key++) {
      if (rng.fraction() >= 50 / 1440) continue;
      assert.equal(budget.waitMs(key, key), 0);
      budget.spend(key, key);
    }
    clock.advance(60_000);
  }
});
