import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChainHouse, type FundedChannel } from '../../test/fixtures/chain_house.ts';
import { FakeChain } from '../../test/fixtures/chain_source.ts';
import { House, settled } from '../../test/fixtures/ingest_house.ts';
import {
  makeChannel,
  makeIdentity,
  makeNode,
  makeUpdate,
  NOW_SECONDS,
} from '../../test/fixtures/signed_gossip.ts';
import { scidFromParts } from '../base/short_channel_id.ts';
import type { UtxoLookup, UtxoResult } from '../chain/utxo_lookup.ts';
import { ChainQuestions, MAX_ASKED_AT_ONCE, MAX_QUESTIONS } from './chain_questions.ts';
import { DYING_BLOCKS } from './departures.ts';

const [alice, bob, carol] = [makeIdentity('alice'), makeIdentity('bob'), makeIdentity('carol')];
const DYING_FLAG = 0x0800;

/** Started, with a channel that is in the map with both updates and both nodes, six blocks deep. */
const withChannel = async (options: ConstructorParameters<typeof ChainHouse>[0] = {}) => {
  const life = await new ChainHouse(options).start();
  const channel = await life.fund({ seed: 'life', nodes: [alice, bob] });
  await life.mine(5);
  await offerAll(life, channel);
  return { life, channel };
};

const offerAll = async ({ house }: ChainHouse, channel: FundedChannel): Promise<void> => {
  const messages = [
    channel.raw,
    makeUpdate(channel),
    makeUpdate(channel, { direction: 1 }),
    makeNode(alice),
    makeNode(bob),
  ];
  for (const raw of messages) assert.equal(await house.offer(raw), 'accept accepted');
};

/** The graph made anew from the store is the one that is live. */
const isReplayed = ({ house }: ChainHouse): void => {
  const replayed = house.replayed();
  assert.deepEqual(replayed.statistics(), house.graph.statistics());
  for (const key of ['channelCount', 'halfChannelCount', 'nodeAnnouncementCount', 'dyingCount'] as const)
    assert.equal(replayed[key], house.graph[key], key);
};

for (const hasBlocks of [true, false]) {
  test(`the life of a channel, ${hasBlocks ? 'by blocks' : 'by rounds of questions'} (B7-05, B7-07, B7-13, B7-43)`, async () => {
    const roundMs = 60_000;
    const life = await new ChainHouse({ hasBlocks, house: { roundMs } }).start();
    const { house, chain } = life;
    const channel = await life.fund({ seed: 'life', nodes: [alice, bob] });
    assert.equal(await house.offer(channel.raw), 'hold not_buried');
    assert.equal(await house.offer(makeUpdate(channel)), 'hold held_for_channel');
    await life.mine(4);
    assert.equal(life.state(channel), 'none', 'five confirmations');
    await life.mine();
    assert.equal(life.state(channel), 'live', 'with the sixth block, not with the next look at the clock');
    assert.equal(house.graph.halfChannelCount, 1);

    chain.spend(channel.funding);
    await life.mine();
    const spentAt = chain.height;
    // Without blocks the spend is found when the channel's turn comes.
    if (!hasBlocks) await life.pass(2 * roundMs);
    assert.equal(life.state(channel), `dying until ${spentAt + DYING_BLOCKS}`);
    assert.equal(await house.offer(makeUpdate(channel, { timestamp: NOW_SECONDS })), 'ignore channel_dying');
    const disabling = makeUpdate(channel, { timestamp: NOW_SECONDS, isDisabled: true });
    assert.equal(await house.offer(disabling), 'accept accepted');
    const unmarked = house.log.live().filter(({ flags, type }) => type < 4103 && (flags & DYING_FLAG) === 0);
    assert.deepEqual(unmarked, [], 'the disabling update is marked like its siblings');
    await life.mine(DYING_BLOCKS - 1);
    assert.equal(chain.height, spentAt + 71);
    assert.equal(life.state(channel), `dying until ${spentAt + DYING_BLOCKS}`, 'block 71: still there');
    await life.mine();
    assert.equal(life.state(channel), 'none', 'block 72: gone');
    assert.deepEqual(
      house.log.live().map(({ type }) => type),
      [4103],
      'chan_dying has gone, too',
    );
    assert.equal(house.meter.get('gossipd_channels_removed_total', 'output_spent'), 1);
    assert.equal(await house.offer(channel.raw), 'ignore recently_refused');
    assert.equal(house.ingest.isRefused(channel.scidHi, channel.scidLo), true);
    house.clock.advance(100 * 3_600_000);
    assert.equal(await house.offer(channel.raw), 'ignore recently_refused', 'for longer than two hours');
    isReplayed(life);
    await life.stop();
    assert.equal(house.clock.pending, 0);
  });

  test(`a spend that a reorganisation takes away: the channel lives again with all that it had (B7-13), ${hasBlocks ? 'by blocks' : 'by questions'}`, async () => {
    const { life, channel } = await withChannel({ hasBlocks, house: { roundMs: 10_000 } });
    const { house, chain } = life;
    const before = house.log.live().map(({ bytes }) => Buffer.from(bytes).toString('hex'));
    chain.spend(channel.funding);
    await life.mine();
    if (!hasBlocks) await life.pass(20_000);
    assert.match(life.state(channel), /^dying/);
    await life.reorganise(1, { transactions: 'drop' });
    assert.equal(life.state(channel), 'live');
    const after = house.log.live().filter(({ type }) => type !== 4103);
    assert.deepEqual(
      after.map(({ bytes }) => Buffer.from(bytes).toString('hex')).sort(),
      [...before].sort(),
      'each record once, chan_dying not',
    );
    assert.ok(after.every(({ flags }) => (flags & DYING_FLAG) === 0));
    assert.deepEqual(
      after.map(({ type }) => type),
      [256, 4101, 258, 258, 257, 257],
    );
    assert.equal(house.graph.capacitySat, 1_000_000);
    assert.equal(house.ingest.isRefused(channel.scidHi, channel.scidLo), false);
    isReplayed(life);
    assert.equal(
      await house.offer(makeUpdate(channel, { timestamp: NOW_SECONDS, feeBaseMsat: 7 })),
      'accept accepted',
      'and it goes on',
    );
    chain.spend(channel.funding);
    await life.mine();
    if (!hasBlocks) await life.pass(20_000);
    assert.equal(life.state(channel), `dying until ${chain.height + DYING_BLOCKS}`, 'a later spend counts');
    await life.stop();
  });
}

test('a spend that comes again in another block: its deadline moves along (B7-13)', async () => {
  const { life, channel } = await withChannel();
  const { house, chain } = life;
  chain.spend(channel.funding);
  await life.mine(3);
  const spentAt = chain.height - 2;
  assert.equal(life.state(channel), `dying until ${spentAt + DYING_BLOCKS}`);
  await life.reorganise(3, { transactions: 'hold', blocks: 4 });
  assert.equal(life.state(channel), 'live');
  await life.mine();
  assert.equal(life.state(channel), `dying until ${chain.height + DYING_BLOCKS}`);
  await life.reorganise(1, { transactions: 'return', blocks: 2 });
  assert.equal(life.state(channel), `dying until ${chain.height - 1 + DYING_BLOCKS}`, 'mined again at once');
  assert.equal(house.log.live().filter(({ type }) => type === 4106).length, 1);
  await life.stop();
});

test('a respend is dated by its block even if the backend cannot tell its height (B7-13)', async () => {
  const { life, channel } = await withChannel();
  const { chain, source } = life;
  const lookup = source.lookup;
  Object.assign(source, {
    lookup: async (...question: Parameters<typeof lookup>): Promise<UtxoResult> => {
      const answer = await lookup(...question);
      return answer.found === 'none' ? { found: 'none' } : answer;
    },
  });
  chain.spend(channel.funding);
  await life.mine();
  const spentAt = chain.height;
  assert.equal(life.state(channel), `dying until ${spentAt + DYING_BLOCKS}`);
  chain.reorganise(1, { transactions: 'hold', blocks: 1 });
  chain.mine();
  await life.settle();
  assert.equal(chain.height, spentAt + 1);
  assert.equal(life.state(channel), `dying until ${spentAt + 1 + DYING_BLOCKS}`);
  await life.stop();
});

test('funding reorganised away: dying from that height, dead after 72 blocks (B7-13)', async () => {
  const { life, channel } = await withChannel();
  const { house, chain } = life;
  const fundedAt = chain.height - 5;
  await life.reorganise(6, { transactions: 'drop' });
  assert.equal(life.state(channel), `dying until ${fundedAt + DYING_BLOCKS}`);
  await life.mine(fundedAt + DYING_BLOCKS - 1 - chain.height);
  assert.equal(life.state(channel), `dying until ${fundedAt + DYING_BLOCKS}`, 'not before');
  await life.mine();
  assert.equal(life.state(channel), 'none');
  assert.equal(house.meter.get('gossipd_channels_removed_total', 'reorganised_away'), 1);
  isReplayed(life);
  await life.stop();
});

test('funding reorganised away and back at the same place: the channel lives (B7-13)', async () => {
  const { life, channel } = await withChannel();
  const { chain } = life;
  const depth = 6;
  const tip = chain.height;
  // The same transaction in a block of the same height, as miners of the other branch had it, too.
  chain.reorganise(depth, { transactions: 'hold', blocks: depth + 1 });
  await life.settle();
  assert.match(life.state(channel), /^dying/);
  await life.reorganise(depth + 1, { transactions: 'hold', blocks: 0 });
  chain.mine();
  for (let count = 0; count < depth + 2; count++) chain.mine();
  await life.settle();
  assert.ok(chain.height > tip);
  assert.equal(chain.scidOf(channel.funding), channel.scid);
  assert.equal(life.state(channel), 'live');
  isReplayed(life);
  await life.stop();
});

test('a reorganisation that leaves a channel where it was changes nothing', async () => {
  const { life, channel } = await withChannel();
  const before = life.house.log.records.length;
  await life.reorganise(6);
  assert.equal(life.state(channel), 'live');
  assert.equal(life.house.log.records.length, before);
  await life.stop();
});

test('another output with the same two keys is spent: the channel stays (B7-43)', async () => {
  const { life, channel } = await withChannel();
  const { chain, source } = life;
  const [key1, key2] = channel.bitcoin;
  const other = chain.fundChannel(key1.key, key2.key, 5000n, { vout: channel.funding.vout });
  await life.mine();
  const before = source.lookups;
  chain.spend(other);
  await life.mine();
  assert.equal(source.lookups, before + 1, 'asked, and answered that it is unspent');
  assert.equal(life.state(channel), 'live');
  chain.spend(channel.funding);
  await life.mine();
  const deadline = chain.height + DYING_BLOCKS;
  chain.spend(chain.fundChannel(key1.key, key2.key, 5000n, { vout: channel.funding.vout }));
  await life.mine(2);
  assert.equal(life.state(channel), `dying until ${deadline}`, 'what comes later is not its spend');
  await life.stop();
});

test('spent while we were down: found at the next start; so is a spend undone while we were down (B7-43)', async () => {
  const { life, channel } = await withChannel();
  const other = await life.fund({ seed: 'other', nodes: [alice, carol] });
  await life.mine(5);
  assert.equal(await life.house.offer(other.raw), 'accept accepted');
  life.chain.spend(other.funding);
  await life.mine();
  assert.match(life.state(other), /^dying/);
  const points = life.follower.points();
  await life.stop();
  const { chain } = life;
  chain.reorganise(1, { transactions: 'drop' });
  chain.spend(channel.funding);
  chain.mine();
  const spentAt = chain.height;
  for (let count = 0; count < 100; count++) chain.mine();
  const { log: store, graph, clock } = life.house;
  const next = await new ChainHouse({ chain, resumeFrom: points, house: { store, graph, clock } }).start();
  await next.settle();
  assert.equal(next.state(other), 'live', 'not removed on what was true once');
  assert.ok(chain.height > spentAt + DYING_BLOCKS);
  await next.mine();
  assert.equal(next.state(channel), 'none');
  await next.stop();
});

test('blocks that nobody looked at: a round over the map finds what they spent (B7-43)', async () => {
  const { life, channel } = await withChannel();
  await life.stop();
  const { chain } = life;
  chain.spend(channel.funding);
  chain.mine();
  const { log: store, graph, clock } = life.house;
  const next = await new ChainHouse({ chain, house: { store, graph, clock, roundMs: 30_000 } }).start();
  assert.equal(next.house.ingest.chainStatus().round_total, 1);
  await next.pass(60_000);
  assert.equal(next.state(channel), `dying until ${chain.height + DYING_BLOCKS}`);
  assert.equal(next.house.ingest.chainStatus().round_total, 0, 'one round is enough with blocks');
  await next.stop();
  assert.equal(clock.pending, 0);
});

test('the backend is away: a spend that it cannot confirm waits, and nothing is decided (B7-13)', async () => {
  const { life, channel } = await withChannel();
  const { chain, source } = life;
  const lookup = source.lookup;
  Object.assign(source, { lookup: () => Promise.resolve({ found: 'unavailable' }) });
  chain.spend(channel.funding);
  await life.mine();
  const spentAt = chain.height;
  await life.pass(5 * 3_600_000, 60_000);
  assert.equal(life.state(channel), 'live');
  assert.equal(life.house.ingest.chainStatus().backend_away, true);
  Object.assign(source, { lookup });
  await life.pass(120_000, 10_000);
  assert.equal(life.state(channel), `dying until ${spentAt + DYING_BLOCKS}`);
  await life.stop();
});

test('stopped before the backend could confirm a spend, or a funding: the next start sees their blocks again', async () => {
  const { life, channel } = await withChannel();
  const { chain, source } = life;
  const other = await life.fund({ seed: 'other', nodes: [alice, carol] });
  await life.mine(5);
  assert.equal(await life.house.offer(other.raw), 'accept accepted');
  Object.assign(source, { lookup: () => Promise.resolve({ found: 'unavailable' }) });
  await life.reorganise(6, { transactions: 'drop' });
  chain.spend(channel.funding);
  await life.mine();
  const spentAt = chain.height;
  await life.mine(3);
  const points = life.house.ingest.settledPoints(life.follower.points());
  assert.equal(points.at(-1)?.height, spentAt - 8, 'below the block that funded the other');
  await life.stop();
  const { log: store, graph, clock } = life.house;
  const next = await new ChainHouse({ chain, resumeFrom: points, house: { store, graph, clock } }).start();
  await next.settle();
  assert.equal(next.state(channel), `dying until ${spentAt + DYING_BLOCKS}`);
  assert.match(next.state(other), /^dying/);
  assert.deepEqual(next.house.ingest.settledPoints(next.follower.points()), next.follower.points());
  await next.stop();
});

test('a backend that reads its chain anew, and knows no block of ours, decides nothing', async () => {
  const { life, channel } = await withChannel({ hasBlocks: false, house: { roundMs: 5000 } });
  Object.assign(life.source, { lookup: () => Promise.resolve({ found: 'none', why: 'no_block' }) });
  await life.pass(30_000);
  assert.equal(life.state(channel), 'live');
  await life.stop();
});

test('channels accepted without a chain: the chain vouches for them, dates their spend, or they go (B7-05)', async () => {
  const chain = new FakeChain(1, 10);
  const makers = ['good', 'spent', 'long spent', 'swapped', 'made up'];
  const fundings = makers.map((seed) => {
    const keys = [makeIdentity(`${seed} funding 1`).key, makeIdentity(`${seed} funding 2`).key] as const;
    return seed === 'swapped'
      ? chain.fundChannel(alice.key, bob.key, 5n)
      : chain.fundChannel(...keys, 77_000n);
  });
  chain.mine();
  const [good, spent, longSpent, swapped, madeUp] = makers.map((seed, index) => {
    const scid = seed === 'made up' ? scidFromParts(3, 9, 0) : chain.scidOf(fundings[index]!)!;
    return { ...makeChannel({ seed, nodes: [alice, makeIdentity(seed)], scid }), funding: fundings[index]! };
  });
  const before = new House();
  for (const channel of [good!, spent!, longSpent!, swapped!, madeUp!]) {
    assert.equal(await before.offer(channel.raw), 'accept accepted');
    assert.equal(await before.offer(makeUpdate(channel)), 'accept accepted');
  }
  assert.equal(before.graph.capacitySat, 0);
  assert.equal(await before.offer(makeNode(alice)), 'accept accepted');
  before.ingest.close();
  chain.spend(longSpent!.funding);
  for (let count = 0; count < 80; count++) chain.mine();
  chain.spend(spent!.funding);
  chain.mine();
  const { log: store, graph, clock } = before;
  const life = new ChainHouse({ chain, house: { store, graph, clock } });
  life.source.isAway = true;
  await life.start();
  await life.pass(3_600_000, 60_000);
  assert.equal(graph.channelCount, 5, 'nothing goes just because the backend is away');
  life.source.isAway = false;
  await life.pass(60_000);
  await life.pass(120_000);
  assert.equal(life.state(good!), 'live');
  assert.equal(graph.channelSatoshis(graph.channelIndex(good!.scidHi, good!.scidLo)), 77_000);
  assert.equal(graph.hasUpdate(graph.channelIndex(good!.scidHi, good!.scidLo), 0), true);
  assert.equal(life.state(spent!), `dying until ${chain.height + DYING_BLOCKS}`);
  for (const gone of [longSpent!, swapped!, madeUp!]) assert.equal(life.state(gone), 'none');
  assert.equal(life.house.meter.get('gossipd_channels_removed_total', 'output_not_found'), 2);
  assert.equal(graph.nodeAnnouncementCount, 1, 'the node came along');
  assert.equal(life.house.ingest.chainStatus().verified_channels, 1);
  assert.ok(life.lines.some(({ message }) => message.includes('are checked')));
  await life.stop();
  assert.equal(clock.pending, 0);
});

test('a block that came while the chain was asked about a new channel is not missed', async () => {
  const life = await new ChainHouse().start();
  const { house, chain, source } = life;
  const channel = await life.fund({ seed: 'race' });
  await life.mine(5);
  const lookup = source.lookup;
  let answer = (): void => {};
  Object.assign(source, {
    lookup: async (...question: Parameters<typeof lookup>): Promise<UtxoResult> => {
      const early = await lookup(...question);
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return early;
    },
  });
  assert.equal(await house.offer(channel.raw), 'nothing yet');
  Object.assign(source, { lookup });
  chain.spend(channel.funding);
  await life.mine();
  answer();
  await life.settle();
  assert.equal(life.state(channel), `dying until ${chain.height + DYING_BLOCKS}`);
  await life.stop();
});

test('an answer that is older than the last question about its channel does not count', async () => {
  const { life, channel } = await withChannel({ hasBlocks: false, house: { roundMs: 1000 } });
  const { source } = life;
  const lookup = source.lookup;
  let answer = (): void => {};
  Object.assign(source, {
    lookup: async (...question: Parameters<typeof lookup>): Promise<UtxoResult> => {
      const early = await lookup(...question);
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return early;
    },
  });
  // The round asks while the funding is there; then a reorganisation makes the channel doubtful.
  await life.pass(3000);
  Object.assign(source, { lookup });
  await life.reorganise(6, { transactions: 'drop' });
  answer();
  await life.settle();
  assert.match(life.state(channel), /^dying/);
  await life.stop();
});

test('MAX_QUESTIONS: what does not fit is found by a round; few are with the backend at once', async () => {
  const house = new House();
  let [inFlight, most] = [0, 0];
  const mute: UtxoLookup = {
    name: 'mute',
    verifies: true,
    lookup: () => {
      most = Math.max(most, ++inFlight);
      return new Promise(() => {});
    },
  };
  const questions = new ChainQuestions({ utxo: mute, clock: house.clock, answered: () => false });
  for (let index = 0; index < MAX_QUESTIONS; index++) assert.equal(questions.ask(index, 0), true);
  assert.equal(questions.ask(MAX_QUESTIONS, 0), false);
  assert.equal(questions.ask(5, 0, { spendHeight: 3 }), true, 'of a channel that is asked about already');
  assert.equal(questions.refused, 1);
  assert.equal(most, MAX_ASKED_AT_ONCE);
  questions.close();
  await settled();
});
