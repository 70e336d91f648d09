import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  credulousChecker,
  FakeChain,
  House,
  heldChecker,
  settled,
} from '../../test/fixtures/ingest_house.ts';
import {
  engine,
  flipBit,
  makeChannel,
  makeNode,
  makeUpdate,
  NOW_SECONDS,
  signInto,
} from '../../test/fixtures/signed_gossip.ts';
import { concatBytes } from '../base/bytes.ts';
import { NETWORKS } from '../base/chain_hash.ts';
import { scidFromParts } from '../base/short_channel_id.ts';
import { encodeUtxoTable, openUtxoTable } from '../chain/utxo_table.ts';
import { NetworkGraph } from '../graph/network_graph.ts';
import { CHANNEL_ANNOUNCEMENT_SIGNED_FROM } from '../wire/channel_announcement.ts';
import {
  EARLY_EXPIRY_MS,
  EARLY_RECHECK_MS,
  MAX_CHANNELS,
  MAX_EARLY_ANNOUNCEMENTS,
  MAX_EARLY_PER_ORIGIN,
} from './channel_judge.ts';
import { LOOKUP_TIMEOUT_MS, MAX_LOOKUP_TRIES, MAX_LOOKUPS_IN_FLIGHT } from './funding_check.ts';

const channel = makeChannel({ seed: 1 });

test('accepted: a channel_announcement with four good signatures is stored as received and known to the graph (B7-02)', async () => {
  const house = new House();
  assert.equal(await house.offer(channel.raw), 'accept accepted');
  assert.deepEqual(house.log.messages(256), [channel.raw]);
  const index = house.graph.channelIndex(channel.scidHi, channel.scidLo);
  assert.ok(index >= 0);
  assert.equal(house.graph.channelSatoshis(index), 0, 'no backend has verified it');
  assert.equal(house.ingest.signaturesChecked, 4);
  assert.equal(house.ingest.backlog, 0);
  assert.equal(house.ingest.counts().accepted, 1);
  assert.equal(house.meter.get('gossipd_gossip_verdicts_total', 'accepted'), 1);
  assert.deepEqual(house.seen[0]?.offset, house.graph.channelOffset(index), 'the listener learns the offset');
});

test('accepted: features and a tail of unknown fields are signed, checked and kept (B7-49)', async () => {
  const house = new House();
  const odd = makeChannel({ seed: 2, features: Uint8Array.of(1, 2, 3), tail: Uint8Array.of(9, 9, 9, 9) });
  assert.equal(await house.offer(flipBit(odd.raw, odd.raw.length - 1)), 'close bad_node_signature_1');
  assert.equal(await house.offer(odd.raw), 'accept accepted');
  assert.deepEqual(house.log.messages(256), [odd.raw]);
});

test('accepted: a verifying backend gives the channel its amount (B7-05)', async () => {
  const house = new House({ utxo: openUtxoTable(encodeUtxoTable([channel])) });
  assert.equal(await house.offer(channel.raw), 'accept accepted');
  assert.equal(house.graph.channelSatoshis(0), 1_000_000);
});

test('malformed: one byte short of its fields (B7-01)', async () => {
  const house = new House();
  assert.equal(await house.offer(channel.raw.subarray(0, channel.raw.length - 1)), 'warn malformed');
});

test('unknown_chain: announcements of another chain are ignored in silence (B7-06)', async () => {
  const house = new House();
  const other = makeChannel({ seed: 1, network: NETWORKS.testnet });
  assert.equal(await house.offer(other.raw), 'ignore unknown_chain');
  assert.equal(house.ingest.signaturesChecked, 0);
});

test('node_ids_not_ordered: node_id_1 must be the lesser, though the signatures are good (B7-03)', async () => {
  const house = new House();
  assert.equal(
    await house.offer(makeChannel({ seed: 1, isMisordered: true }).raw),
    'warn node_ids_not_ordered',
  );
  const one = channel.nodes[0];
  assert.equal(
    await house.offer(makeChannel({ seed: 1, nodes: [one, one] }).raw),
    'warn node_ids_not_ordered',
  );
  assert.equal(house.ingest.signaturesChecked, 0, 'it is a cheap check');
});

test('known: a second announcement costs no signature check (B7-48)', async () => {
  const house = new House();
  await house.offer(channel.raw);
  assert.equal(await house.offer(channel.raw, 2), 'ignore known');
  assert.equal(await house.offer(makeChannel({ seed: 2, scid: channel.scid }).raw, 2), 'ignore known');
  assert.equal(house.ingest.signaturesChecked, 4);
});

test('already_pending: the same announcement from others while it is checked', async () => {
  const checker = heldChecker();
  const house = new House({ checker });
  const first = house.offer(channel.raw, 1);
  assert.equal(await house.offer(channel.raw, 2), 'ignore already_pending');
  assert.equal(await first, 'nothing yet');
  assert.equal(house.ingest.backlog, 1);
  await checker.release();
  assert.deepEqual(house.takeSeen(), ['ignore already_pending', 'accept accepted']);
  assert.equal(house.ingest.backlog, 0);
});

test('bad_node_signature_1, bad_node_signature_2, bad_bitcoin_signature_1, bad_bitcoin_signature_2: by the first bad one (B7-02, B7-09)', async () => {
  const reasons = [
    'bad_node_signature_1',
    'bad_node_signature_2',
    'bad_bitcoin_signature_1',
    'bad_bitcoin_signature_2',
  ];
  for (const [index, reason] of reasons.entries()) {
    const house = new House();
    assert.equal(await house.offer(flipBit(channel.raw, 2 + 64 * index + 40)), `close ${reason}`);
    assert.equal(house.graph.channelCount, 0);
    assert.equal(house.log.records.length, 0);
  }
});

test('bad_node_id, bad_bitcoin_key: keys that are no point (B7-17)', async () => {
  const keysAt = channel.raw.length - 4 * 33;
  for (const [index, reason] of [
    'bad_node_id',
    'bad_node_id',
    'bad_bitcoin_key',
    'bad_bitcoin_key',
  ].entries()) {
    const house = new House();
    const spoiled = channel.raw.slice();
    // Keeps 02 or 03 and the order of the node ids; flips low bits until the point is off the curve.
    const keyAt = keysAt + 33 * index;
    do spoiled[keyAt + 32] = ((spoiled[keyAt + 32] as number) + 1) & 0xff;
    while (engine.isPoint(spoiled.subarray(keyAt, keyAt + 33)));
    [...channel.nodes, ...channel.bitcoin].forEach((signer, at) => {
      signInto(spoiled, CHANNEL_ANNOUNCEMENT_SIGNED_FROM, 2 + 64 * at, signer.secret);
    });
    assert.equal(await house.offer(spoiled), `close ${reason}`);
    assert.equal(house.graph.channelCount, 0);
  }
});

test('recently_refused: the same badly signed bytes cost no second check (B7-09)', async () => {
  const house = new House();
  const bad = flipBit(channel.raw, 50);
  assert.equal(await house.offer(bad), 'close bad_node_signature_1');
  assert.equal(await house.offer(bad, 2), 'warn recently_refused');
  assert.equal(house.ingest.signaturesChecked, 4);
  assert.equal(await house.offer(channel.raw, 3), 'accept accepted', 'the good one is not affected');
});

test('output_not_found, then recently_refused for the announcement and its updates for an hour (B7-05, B7-30)', async () => {
  const chain = new FakeChain();
  const house = new House({ utxo: chain });
  assert.equal(await house.offer(channel.raw), 'ignore output_not_found');
  assert.equal(await house.offer(channel.raw), 'ignore recently_refused');
  assert.equal(await house.offer(makeUpdate(channel)), 'ignore recently_refused');
  assert.equal(chain.asked, 1);
  chain.add(channel);
  house.clock.advance(2 * 3_600_000);
  assert.equal(await house.offer(channel.raw), 'accept accepted');
});

test('funding_script_mismatch: the output pays to other keys; only those keys are refused again (B7-05)', async () => {
  const chain = new FakeChain();
  const house = new House({ utxo: chain });
  chain.add(channel);
  const forged = makeChannel({ seed: 'forger', scid: channel.scid });
  assert.equal(await house.offer(forged.raw), 'warn funding_script_mismatch');
  assert.equal(await house.offer(forged.raw), 'ignore recently_refused');
  assert.equal(chain.asked, 1);
  assert.equal(await house.offer(channel.raw), 'accept accepted', 'a forger cannot lock the owner out');
});

test('held for its channel: another announcement of a pending scid is judged when the first is refused', async () => {
  const checker = heldChecker();
  const house = new House({ checker });
  void house.offer(flipBit(channel.raw, 50), 1);
  assert.equal(await house.offer(channel.raw, 2), 'hold already_pending');
  assert.equal(
    await house.offer(makeChannel({ seed: 3, scid: channel.scid }).raw, 3),
    'ignore already_pending',
  );
  house.takeSeen();
  await checker.release();
  await checker.release();
  assert.deepEqual(house.takeSeen(), ['close bad_node_signature_1', 'accept accepted']);
  assert.deepEqual(house.log.messages(256), [channel.raw]);
  assert.equal(house.ingest.occupancy().pending_bytes, 0);
});

test('known: the rival of an accepted announcement gets its final verdict', async () => {
  const checker = heldChecker();
  const house = new House({ checker });
  void house.offer(channel.raw, 1);
  await house.offer(makeChannel({ seed: 3, scid: channel.scid }).raw, 2);
  house.takeSeen();
  await checker.release();
  assert.deepEqual(house.takeSeen(), ['accept accepted', 'ignore known']);
});

test('not_buried: held until the sixth confirmation within twelve blocks, ignored above (B7-07)', async () => {
  let height = 94;
  const house = new House({ blockHeight: () => height });
  const far = makeChannel({ seed: 7, scid: scidFromParts(107, 1, 0) });
  assert.equal(await house.offer(far.raw), 'ignore not_buried');
  assert.equal(house.ingest.signaturesChecked, 0);
  assert.equal(await house.offer(channel.raw), 'hold not_buried');
  assert.equal(house.ingest.backlog, 0);
  assert.equal(await house.offer(channel.raw, 2), 'ignore already_pending');
  assert.equal(await house.offer(makeUpdate(channel)), 'hold held_for_channel', 'its updates wait with it');
  height = 104;
  house.clock.advance(EARLY_RECHECK_MS);
  assert.equal(house.graph.channelCount, 0, 'block 100 has five confirmations at 104');
  height = 105;
  house.takeSeen();
  house.clock.advance(EARLY_RECHECK_MS);
  await settled();
  assert.deepEqual(house.takeSeen(), ['accept accepted', 'accept accepted']);
  assert.equal(house.ingest.occupancy().early_announcements, 0);
});

test('not_buried: whoever waits for a tip that stands still is let go (B7-07)', async () => {
  const house = new House({ blockHeight: () => 100 });
  assert.equal(await house.offer(channel.raw), 'hold not_buried');
  house.takeSeen();
  house.clock.advance(EARLY_EXPIRY_MS + EARLY_RECHECK_MS);
  assert.deepEqual(house.takeSeen(), ['ignore not_buried']);
  assert.equal(house.ingest.occupancy().pending_announcements, 0);
  assert.equal(house.clock.pending, 0);
});

test('accepted at once when nobody knows the height (B7-07)', async () => {
  const house = new House({ blockHeight: () => undefined });
  assert.equal(await house.offer(channel.raw), 'accept accepted');
});

/** An announcement that nobody has signed, one of many that differ in their scid. */
const unsigned = (block: number, transaction: number): Uint8Array => {
  const raw = channel.raw.slice();
  const scid = scidFromParts(block, transaction, 0);
  new DataView(raw.buffer).setBigUint64(292, scid);
  return raw;
};

test('room_full: announcements waiting for depth are bounded, for each origin and together', async () => {
  const house = new House({ blockHeight: () => 100, checker: credulousChecker });
  let transaction = 0;
  for (let origin = 1; origin <= 4; origin++) {
    for (let count = 0; count < MAX_EARLY_PER_ORIGIN + 3; count++) {
      house.ingest.offer(unsigned(101, transaction++), origin);
    }
    await settled();
    assert.equal(house.ingest.counts().not_buried, MAX_EARLY_PER_ORIGIN * origin);
    assert.equal(house.ingest.counts().room_full, 3 * origin);
  }
  assert.equal(house.ingest.occupancy().early_announcements, MAX_EARLY_ANNOUNCEMENTS);
  assert.equal(await house.offer(unsigned(101, transaction), 5), 'ignore room_full');
});

test('room_full: the graph is bounded, also for what was under check when it filled up', async () => {
  let count = MAX_CHANNELS - 1;
  class FullGraph extends NetworkGraph {
    override get channelCount(): number {
      return count;
    }
  }
  const checker = heldChecker();
  const house = new House({ graph: new FullGraph(), checker });
  void house.offer(channel.raw);
  await settled();
  count = MAX_CHANNELS;
  assert.equal(await house.offer(makeChannel({ seed: 2 }).raw), 'ignore room_full');
  house.takeSeen();
  await checker.release();
  assert.deepEqual(house.takeSeen(), ['ignore room_full']);
});

test('chain_unavailable: held, asked again with growing pauses, accepted when the backend is back', async () => {
  const chain = new FakeChain();
  chain.isAway = true;
  const house = new House({ utxo: chain });
  assert.equal(await house.offer(channel.raw), 'hold chain_unavailable');
  assert.equal(house.ingest.backlog, 0, 'its peer can go on');
  const askedAt = [0];
  for (let second = 1; second <= 40; second++) {
    const before = chain.asked;
    house.clock.advance(1000);
    await settled();
    if (chain.asked > before) askedAt.push(second);
  }
  assert.deepEqual(askedAt, [0, 1, 3, 7, 15, 31]);
  chain.isAway = false;
  chain.add(channel);
  house.takeSeen();
  house.clock.advance(25_000);
  await settled();
  assert.deepEqual(house.takeSeen(), ['accept accepted']);
  assert.equal(house.clock.pending, 0);
});

test('chain_unavailable: while the backend is away for hours nothing is accepted and nothing forgotten; then all go in', async () => {
  const chain = new FakeChain();
  chain.isAway = true;
  const house = new House({ utxo: chain });
  const channels = Array.from({ length: 150 }, (_, index) => makeChannel({ seed: index + 10 }));
  for (const { raw } of channels) assert.equal(await house.offer(raw), 'hold chain_unavailable');
  const update = makeUpdate(channels[0]!, { timestamp: NOW_SECONDS + 3600 });
  assert.equal(await house.offer(update), 'hold held_for_channel');
  house.takeSeen();
  const before = chain.asked;
  for (let minute = 0; minute < 300; minute++) {
    house.clock.advance(60_000);
    await settled();
  }
  assert.deepEqual(house.takeSeen(), []);
  assert.equal(house.graph.channelCount, 0);
  assert.equal(house.ingest.occupancy().pending_announcements, channels.length);
  assert.ok(chain.asked - before < 400, 'a backend that is away is not asked by everyone');
  for (const made of channels) chain.add(made);
  chain.isAway = false;
  house.clock.advance(60_000);
  for (let turn = 0; turn < 5; turn++) await settled();
  assert.deepEqual(new Set(house.takeSeen()), new Set(['accept accepted']));
  assert.equal(house.graph.channelCount, channels.length);
  assert.equal(house.graph.halfChannelCount, 1);
  assert.equal(house.clock.pending, 0);
});

test('chain_unavailable: what alone stays without answer while others get theirs is given up, and not remembered as refused', async () => {
  const chain = new FakeChain();
  chain.outputs.set(channel.scid, { found: 'unavailable' });
  const house = new House({ utxo: chain });
  assert.equal(await house.offer(channel.raw), 'hold chain_unavailable');
  house.takeSeen();
  for (let tries = 0; tries < MAX_LOOKUP_TRIES + 1; tries++) {
    const other = makeChannel({ seed: tries + 10 });
    chain.add(other);
    assert.equal(await house.offer(other.raw), 'accept accepted');
    house.clock.advance(60_000);
    await settled();
  }
  assert.equal(house.takeSeen().filter((verdict) => verdict === 'ignore chain_unavailable').length, 1);
  assert.equal(house.ingest.occupancy().pending_announcements, 0);
  chain.add(channel);
  assert.equal(await house.offer(channel.raw), 'accept accepted');
});

test('chain_unavailable: a lookup without an answer is aborted after half a minute', async () => {
  const chain = new FakeChain();
  chain.isMute = true;
  const house = new House({ utxo: chain });
  assert.equal(await house.offer(channel.raw), 'nothing yet');
  house.clock.advance(LOOKUP_TIMEOUT_MS);
  await settled();
  assert.equal(chain.aborted, 1);
  assert.deepEqual(house.takeSeen(), ['hold chain_unavailable']);
});

test('at most so many lookups are with the backend at once', async () => {
  const chain = new FakeChain();
  chain.isMute = true;
  const house = new House({ utxo: chain });
  for (let index = 0; index < MAX_LOOKUPS_IN_FLIGHT + 5; index++) {
    await house.offer(makeChannel({ seed: 1, scid: scidFromParts(1, index, 0) }).raw);
  }
  assert.equal(chain.asked, MAX_LOOKUPS_IN_FLIGHT);
  assert.equal(house.ingest.occupancy().lookups_in_flight, MAX_LOOKUPS_IN_FLIGHT);
  assert.equal(house.ingest.backlog, MAX_LOOKUPS_IN_FLIGHT + 5);
  chain.isMute = false;
  house.clock.advance(LOOKUP_TIMEOUT_MS + 1000);
  await settled();
  assert.equal(
    chain.asked,
    2 * MAX_LOOKUPS_IN_FLIGHT + 5,
    'the queue moves on, and those without answer wait in it',
  );
});

test('chain_unavailable: without a verifying backend nothing is accepted when acceptUnverified is off', async () => {
  const house = new House({ acceptUnverified: false });
  assert.equal(await house.offer(channel.raw), 'ignore chain_unavailable');
});

test('unknown_channel: what hung on a refused announcement falls with it', async () => {
  const chain = new FakeChain();
  chain.isMute = true;
  const house = new House({ utxo: chain });
  void house.offer(channel.raw, 1);
  await settled();
  assert.equal(await house.offer(makeUpdate(channel), 2), 'hold held_for_channel');
  chain.isMute = false;
  house.takeSeen();
  house.clock.advance(LOOKUP_TIMEOUT_MS + 1000);
  await settled();
  assert.deepEqual(house.takeSeen(), [
    'hold chain_unavailable',
    'ignore output_not_found',
    'ignore unknown_channel',
  ]);
});

test('recently_refused: a channel whose output is spent while it is looked up is not accepted (B7-13)', async () => {
  const chain = new FakeChain();
  chain.isAway = true;
  const house = new House({ utxo: chain });
  await house.offer(channel.raw);
  assert.equal(house.ingest.channelSpent(channel.scidHi, channel.scidLo, 200), false);
  chain.isAway = false;
  chain.add(channel);
  house.takeSeen();
  house.clock.advance(1000);
  await settled();
  assert.deepEqual(house.takeSeen(), ['ignore recently_refused']);
  assert.equal(house.graph.channelCount, 0);
});

test('known: a channel that came into the graph by another way meanwhile is not stored twice', async () => {
  const checker = heldChecker();
  const house = new House({ checker });
  const other = new House();
  await other.offer(channel.raw);
  void house.offer(channel.raw);
  await settled();
  for (const record of other.log.live()) house.graph.apply(record);
  await checker.release();
  assert.deepEqual(house.takeSeen(), ['ignore known']);
  assert.equal(house.log.records.length, 0);
});

test('one message of everything: a live graph equals its replay', async () => {
  const house = new House();
  for (const raw of [
    channel.raw,
    makeUpdate(channel),
    makeUpdate(channel, { direction: 1 }),
    makeNode(channel.nodes[0]),
  ]) {
    assert.equal(await house.offer(raw), 'accept accepted');
  }
  const replayed = house.replayed();
  assert.deepEqual(replayed.statistics(), house.graph.statistics());
  assert.equal(replayed.channelTimestamp(0), NOW_SECONDS - 100);
});

test('malformed: neither a gossip type nor two bytes long', async () => {
  const house = new House();
  assert.equal(await house.offer(Uint8Array.of(1)), 'warn malformed');
  assert.equal(await house.offer(Uint8Array.of(0, 18, 0, 0)), 'warn malformed');
  assert.equal(await house.offer(concatBytes(channel.raw, new Uint8Array(65_536))), 'warn malformed');
});
